//! A description taken apart into claims, each with the sentences that say it and those that say otherwise. Rules over
//! English words, no network. What the rules do not understand stays part of a noun, so nothing is dropped silently.

use serde::Serialize;

use super::words::{
    BASIC_COLOURS, colour, contrary, is_filler, is_generic, is_picture, is_shade, number, number_word, plural,
    singular, with_article,
};

/// What a claim is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClaimKind {
    /// What the photo shows at all.
    Part,
    Colour,
    Count,
    /// Flawless, scratched, clean and the like.
    Condition,
    /// Something is there.
    Presence,
    /// Something is not there.
    Absence,
}

impl ClaimKind {
    pub const ALL: [Self; 6] = [Self::Part, Self::Colour, Self::Count, Self::Condition, Self::Presence, Self::Absence];

    /// The name in JSON and on the screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Colour => "colour",
            Self::Count => "count",
            Self::Condition => "condition",
            Self::Presence => "presence",
            Self::Absence => "absence",
        }
    }
}

/// A sentence and the few words that stand for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saying {
    /// As people would say it, e.g. `blue cap`.
    pub said: String,
    /// What the text tower reads, e.g. `a photo of a blue cap.`
    pub sentence: String,
}

impl Saying {
    fn new(said: impl Into<String>, words: &str) -> Self {
        Self { said: said.into(), sentence: sentence(words) }
    }

    /// `said` with an article is the sentence.
    fn plain(said: &str) -> Self {
        Self::new(said, &with_article(said))
    }
}

fn sentence(words: &str) -> String {
    format!("a photo of {words}.")
}

/// One claim of a description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub kind: ClaimKind,
    /// The claim in few words, e.g. `red cap`.
    pub said: String,
    /// Sentences each of which says it; at least one.
    pub sentences: Vec<String>,
    /// What would be so if the claim is wrong; at least one.
    pub alternatives: Vec<Saying>,
    /// A sentence for what to look for in the photo; `None` where the claim is about the whole part.
    pub place: Option<String>,
}

/// The claims of a description in its order, each once; empty where it has none that can be checked.
pub fn claims(description: &str) -> Vec<Claim> {
    let mut subject: Option<String> = None;
    let mut latest = "part".to_owned();
    let mut found: Vec<Claim> = Vec::new();
    for chunk in chunks(description) {
        let phrase = Phrase::of(&chunk.words);
        let whole = subject.clone().unwrap_or_else(|| "part".to_owned());
        let mut made = Vec::new();
        if phrase.noun.is_empty() {
            let noun = if chunk.predicate { &whole } else { &latest };
            made.extend(details(&phrase, noun, chunk.negated, place(noun, &whole)));
        } else if subject.is_none() && !chunk.introduced && (!chunk.negated || chunk.predicate) {
            let one = singular(&phrase.noun);
            match phrase.count {
                Some(count) => made.push(count_claim(None, &phrase.noun, count)),
                None if !is_generic(&one) => made.push(part(&phrase.noun)),
                None => {}
            }
            made.extend(details(&phrase, &phrase.noun, chunk.negated, None));
            latest.clone_from(&phrase.noun);
            subject = Some(one);
        } else if chunk.predicate {
            made.extend(details(&phrase, &phrase.noun, chunk.negated, place(&phrase.noun, &whole)));
            latest.clone_from(&phrase.noun);
        } else if chunk.negated {
            made.push(absence(&whole, &phrase.words()));
        } else {
            match phrase.count {
                Some(count) => made.push(count_claim(Some(&whole), &phrase.noun, count)),
                None if singular(&phrase.noun) == whole => {}
                None => made.push(presence(&whole, &phrase.noun)),
            }
            made.extend(details(&phrase, &phrase.noun, false, place(&phrase.noun, &whole)));
            latest.clone_from(&phrase.noun);
        }
        for claim in made {
            if !found.contains(&claim) {
                found.push(claim);
            }
        }
    }
    found
}

/// Where to look for `noun`: nowhere in particular if it is the whole part.
fn place(noun: &str, whole: &str) -> Option<String> {
    (singular(noun) != whole).then(|| sentence(&with_article(noun)))
}

/// Words in lower case; punctuation as `,` within a sentence and `.` at its end.
fn tokens(description: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    let mut characters = description.chars().peekable();
    while let Some(c) = characters.next() {
        // A point between digits belongs to a number.
        let decimal = c == '.'
            && word.ends_with(|c: char| c.is_ascii_digit())
            && characters.peek().is_some_and(char::is_ascii_digit);
        if c.is_alphanumeric() || c == '-' || c == '\'' || decimal {
            word.extend(c.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        match c {
            ',' | ';' | '(' | ')' | ':' => tokens.push(",".to_owned()),
            '.' | '!' | '?' | '\n' => tokens.push(".".to_owned()),
            _ => {}
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    without_lead_in(tokens)
}

/// Without `a close-up photo of`, `there is`, `this is`.
fn without_lead_in(tokens: Vec<String>) -> Vec<String> {
    let picture = tokens.iter().take(8).position(|word| is_picture(word));
    if let Some(at) = picture
        && let Some(of) = tokens.iter().skip(at).take(3).position(|word| word == "of")
    {
        return tokens[at + of + 1..].to_vec();
    }
    let opening: Vec<&str> = tokens.iter().take(2).map(String::as_str).collect();
    let empty =
        matches!(opening[..], ["there" | "this" | "it", "is"] | ["there" | "these" | "they", "are"] | ["we", "see"]);
    if empty { tokens[2..].to_vec() } else { tokens }
}

/// A stretch of words between commas, `and`, `with` and the like.
#[derive(Debug, PartialEq)]
struct Chunk {
    words: Vec<String>,
    /// Said not to be so, or not to be there.
    negated: bool,
    /// `X is Y`: the words say how X is, not that it is there.
    predicate: bool,
    /// `with`, `without` or `has` came before it in the sentence.
    introduced: bool,
}

/// What opened the chunk in hand.
#[derive(Clone, Copy, PartialEq)]
enum Opening {
    Start,
    With,
    Comma,
    And,
    Or,
}

/// How far a negation reaches: `without a cap and a label` means both, `no cap and a label` does not.
#[derive(Clone, Copy, PartialEq)]
enum Negation {
    None,
    No,
    Without,
}

struct Chunker {
    chunks: Vec<Chunk>,
    words: Vec<String>,
    /// The X of `X is Y`, while Y is read.
    predicate_of: Option<Vec<String>>,
    opening: Opening,
    negation: Negation,
    introduced: bool,
}

impl Chunker {
    fn finish(&mut self, next: Opening) {
        let mut words = std::mem::take(&mut self.words);
        let fresh = words.first().is_some_and(|w| ["a", "an", "the"].contains(&w.as_str()) || number(w).is_some());
        let counted = words.first().is_some_and(|w| number(w).is_some());
        let ends = match (self.negation, self.opening) {
            (Negation::None, _) | (_, Opening::Start | Opening::With | Opening::Or) => false,
            (_, Opening::Comma) | (Negation::No, Opening::And) => fresh,
            (Negation::Without, Opening::And) => counted,
        };
        if ends {
            self.negation = Negation::None;
        }
        let no = words.iter().position(|w| ["no", "not", "never", "zero", "neither"].contains(&w.as_str()));
        let mut negated = self.negation != Negation::None;
        let predicate_of = self.predicate_of.take();
        if let Some(at) = no {
            words.remove(at);
            negated = true;
            if predicate_of.is_none() && self.negation == Negation::None {
                self.negation = Negation::No;
            }
        }
        let predicate = predicate_of.is_some();
        words.extend(predicate_of.into_iter().flatten());
        if words.iter().any(|word| !is_filler(word)) {
            self.chunks.push(Chunk { words, negated, predicate, introduced: self.introduced });
        }
        self.opening = next;
    }

    fn introduce(&mut self, negation: Negation) {
        self.finish(Opening::With);
        self.negation = negation;
        self.introduced = true;
    }
}

fn chunks(description: &str) -> Vec<Chunk> {
    let tokens = tokens(description);
    let mut hand = Chunker {
        chunks: Vec::new(),
        words: Vec::new(),
        predicate_of: None,
        opening: Opening::Start,
        negation: Negation::None,
        introduced: false,
    };
    let mut at = 0;
    while at < tokens.len() {
        let word = |offset: usize| tokens.get(at + offset).map_or("", String::as_str);
        let mut width = 1;
        match (word(0), word(1), word(2)) {
            ("free", "of" | "from", _) => {
                hand.introduce(Negation::Without);
                width = 2;
            }
            ("without" | "lacks" | "lacking", ..) => hand.introduce(Negation::Without),
            (
                "with" | "has" | "have" | "having" | "featuring" | "features" | "including" | "includes" | "plus"
                | "shows" | "showing",
                ..,
            ) => hand.introduce(Negation::None),
            // `in good condition` says how the part is.
            ("in", state, "condition") if contrary(state).is_some() => {
                hand.finish(Opening::With);
                hand.negation = Negation::None;
                hand.words.push(state.to_owned());
                hand.predicate_of = Some(Vec::new());
                width = 3;
            }
            ("is" | "are" | "was" | "were", ..) => {
                let said_of = std::mem::take(&mut hand.words);
                // Of `it is red` and `there are scratches` only the end says something.
                if said_of.iter().any(|word| !is_filler(word)) {
                    hand.predicate_of = Some(said_of);
                }
            }
            // `a red and white label`
            ("and", next, _) if colour(next).is_some() && hand.words.last().is_some_and(|w| colour(w).is_some()) => {
                hand.words.push("and".to_owned());
            }
            // `a clean, red cap`: the comma stands between adjectives.
            (",", ..) if hand.only_adjectives() => {}
            (",", ..) => hand.finish(Opening::Comma),
            ("and", ..) => hand.finish(Opening::And),
            ("or" | "nor", ..) => hand.finish(Opening::Or),
            ("but", ..) => {
                hand.finish(Opening::And);
                hand.negation = Negation::None;
            }
            (".", ..) => {
                hand.finish(Opening::Start);
                hand.negation = Negation::None;
            }
            (word, ..) => hand.words.push(word.to_owned()),
        }
        at += width;
    }
    hand.finish(Opening::Start);
    hand.chunks
}

impl Chunker {
    fn only_adjectives(&self) -> bool {
        let adjective = |word: &String| is_shade(word) || colour(word).is_some() || contrary(word).is_some();
        self.predicate_of.is_none()
            && self.words.iter().any(adjective)
            && self.words.iter().all(|word| is_filler(word) || adjective(word))
    }
}

/// A noun phrase by the roles of its words.
#[derive(Debug, Default)]
struct Phrase {
    count: Option<u32>,
    /// As said, shade included, and the basic colours that are no alternative to it.
    colour: Option<(String, Vec<&'static str>)>,
    conditions: Vec<String>,
    noun: String,
}

impl Phrase {
    fn of(words: &[String]) -> Self {
        let mut phrase = Self::default();
        let mut noun: Vec<&str> = Vec::new();
        let mut shade: Option<&str> = None;
        let mut words = words.iter().map(String::as_str).peekable();
        while let Some(word) = words.next() {
            let next = words.peek().copied().unwrap_or_default();
            if (word == "pair" || word == "set") && next == "of" {
                words.next();
                if word == "pair" {
                    phrase.count = Some(2);
                }
            } else if is_shade(word) && colour(next).is_some() {
                shade = Some(word);
            } else if let Some(near) = colour(word) {
                let said = shade.take().map_or_else(|| word.to_owned(), |shade| format!("{shade} {word}"));
                let (text, all) = phrase.colour.get_or_insert_with(Default::default);
                text.push_str(if text.is_empty() { "" } else { " " });
                text.push_str(&said);
                all.extend(near);
            } else if let (Some((text, _)), "and") = (&mut phrase.colour, word) {
                text.push_str(" and");
            } else if let Some(count) = number(word).filter(|_| noun.is_empty()) {
                phrase.count = Some(count);
            } else if contrary(word).is_some() {
                phrase.conditions.push(word.to_owned());
            } else if !is_filler(word) {
                noun.push(word);
            }
        }
        phrase.noun = noun.join(" ");
        phrase
    }

    /// Adjectives and noun together, without article and number.
    fn words(&self) -> String {
        let colour = self.colour.as_ref().map(|(said, _)| said.as_str());
        let words = self.conditions.iter().map(String::as_str).chain(colour).chain([self.noun.as_str()]);
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

fn part(noun: &str) -> Claim {
    let others = ["something else", "another object", "an empty background"];
    Claim {
        kind: ClaimKind::Part,
        said: noun.to_owned(),
        sentences: vec![sentence(&with_article(noun))],
        alternatives: others.map(|other| Saying::new(other, other)).into(),
        place: None,
    }
}

/// Colour and conditions of `noun`. Where they are negated, the sentences change sides.
fn details(phrase: &Phrase, noun: &str, negated: bool, place: Option<String>) -> Vec<Claim> {
    let saying = |adjective: &str| Saying::plain(&format!("{adjective} {noun}"));
    let claim = |kind, adjective: &str, others: Vec<Saying>| {
        let stated = saying(adjective);
        if negated {
            let sentences = others.into_iter().map(|other| other.sentence).collect();
            let said = format!("{noun} not {adjective}");
            Claim { kind, said, sentences, alternatives: vec![stated], place: place.clone() }
        } else {
            let sentences = vec![stated.sentence];
            Claim { kind, said: stated.said, sentences, alternatives: others, place: place.clone() }
        }
    };
    let colour = phrase.colour.iter().map(|(said, near)| {
        let others = BASIC_COLOURS.iter().filter(|basic| !near.contains(basic)).map(|basic| saying(basic)).collect();
        claim(ClaimKind::Colour, said, others)
    });
    let conditions = phrase.conditions.iter().filter_map(|condition| {
        contrary(condition).map(|contrary| claim(ClaimKind::Condition, condition, vec![saying(contrary)]))
    });
    colour.chain(conditions).collect()
}

/// `three holes`: against one more, one fewer and none.
fn count_claim(whole: Option<&str>, noun: &str, count: u32) -> Claim {
    let say = |count: u32| {
        let noun = if count == 1 { singular(noun) } else { plural(noun) };
        let said = format!("{} {noun}", number_word(count));
        match whole {
            Some(whole) => Saying::new(said.clone(), &format!("{} with {said}", with_article(whole))),
            None => Saying::new(said.clone(), &said),
        }
    };
    let stated = say(count);
    let mut others = vec![count + 1, count - 1];
    if count > 1 {
        others.push(0);
    }
    Claim {
        kind: ClaimKind::Count,
        said: stated.said,
        sentences: vec![stated.sentence],
        alternatives: others.into_iter().map(say).collect(),
        place: whole.map(|_| sentence(&with_article(&singular(noun)))),
    }
}

fn presence(whole: &str, noun: &str) -> Claim {
    let (whole, thing) = (with_article(whole), with_article(noun));
    Claim {
        kind: ClaimKind::Presence,
        said: noun.to_owned(),
        sentences: vec![sentence(&format!("{whole} with {thing}"))],
        alternatives: vec![Saying::new(format!("no {noun}"), &format!("{whole} without {thing}"))],
        place: Some(sentence(&thing)),
    }
}

fn absence(whole: &str, noun: &str) -> Claim {
    let (whole, thing) = (with_article(whole), with_article(noun));
    Claim {
        kind: ClaimKind::Absence,
        said: format!("no {noun}"),
        sentences: vec![sentence(&format!("{whole} without {thing}"))],
        alternatives: vec![Saying::new(noun, &format!("{whole} with {thing}"))],
        place: Some(sentence(&thing)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind: words` of each claim.
    fn read(description: &str) -> Vec<String> {
        claims(description).iter().map(|claim| format!("{}: {}", claim.kind.name(), claim.said)).collect()
    }

    #[test]
    fn a_work_order_falls_into_its_claims() {
        assert_eq!(
            read("A photo of a silver bottle with a dark red cap, three holes and no scratches."),
            [
                "part: bottle",
                "colour: silver bottle",
                "presence: cap",
                "colour: dark red cap",
                "count: three holes",
                "absence: no scratches"
            ]
        );
        assert_eq!(
            read("Two black screws in a box; the label is white, not torn"),
            [
                "count: two screws in box",
                "colour: black screws in box",
                "colour: white label",
                "condition: label not torn"
            ]
        );
    }

    #[test]
    fn negation_reaches_as_far_as_people_mean_it() {
        assert_eq!(
            read("ring without scratches, dents or stains"),
            ["part: ring", "absence: no scratches", "absence: no dents", "absence: no stains"]
        );
        assert_eq!(read("ring without a cap and a label"), ["part: ring", "absence: no cap", "absence: no label"]);
        assert_eq!(read("ring with no cap and a label"), ["part: ring", "absence: no cap", "presence: label"]);
        assert_eq!(
            read("ring without scratches, a red cap"),
            ["part: ring", "absence: no scratches", "presence: cap", "colour: red cap"]
        );
        assert_eq!(
            read("ring free of cracks and with two bolts"),
            ["part: ring", "absence: no cracks", "count: two bolts"]
        );
        assert_eq!(read("No scratches or cracks."), ["absence: no scratches", "absence: no cracks"]);
        assert_eq!(
            read("A ring. There are no scratches. It has four holes."),
            ["part: ring", "absence: no scratches", "count: four holes"]
        );
    }

    #[test]
    fn adjectives_find_their_noun() {
        assert_eq!(read("a clean, red cap"), ["part: cap", "colour: red cap", "condition: clean cap"]);
        assert_eq!(
            read("bottle with a red and white label"),
            ["part: bottle", "presence: label", "colour: red and white label"]
        );
        assert_eq!(read("The cap is red and clean."), ["part: cap", "colour: red cap", "condition: clean cap"]);
        assert_eq!(read("a metal nut in good condition"), ["part: metal nut", "condition: good metal nut"]);
        assert_eq!(read("scratched part"), ["condition: scratched part"]);
        assert_eq!(read("a pair of gloves"), ["count: two gloves"]);
    }

    #[test]
    fn every_claim_is_scored_against_its_contrary() {
        let of = |description: &str| claims(description).pop().expect("a claim");
        let count = of("a ring with three holes");
        assert_eq!(count.sentences, ["a photo of a ring with three holes."]);
        let others: Vec<_> = count.alternatives.iter().map(|other| other.sentence.as_str()).collect();
        assert_eq!(
            others,
            [
                "a photo of a ring with four holes.",
                "a photo of a ring with two holes.",
                "a photo of a ring with no holes."
            ]
        );
        assert_eq!(count.place.as_deref(), Some("a photo of a hole."));
        let one = of("a ring with one hole");
        assert_eq!(one.alternatives.iter().map(|o| o.said.as_str()).collect::<Vec<_>>(), ["two holes", "no holes"]);
        let cap = of("a bottle with a red cap");
        assert_eq!(
            (cap.alternatives.len(), cap.alternatives[0].said.as_str()),
            (BASIC_COLOURS.len() - 1, "orange cap")
        );
        assert!(cap.alternatives.iter().all(|other| other.said != "red cap"));
        let not_red = of("a bottle, the cap is not red");
        assert_eq!((not_red.said.as_str(), not_red.alternatives[0].said.as_str()), ("cap not red", "red cap"));
        assert_eq!(not_red.sentences.len(), BASIC_COLOURS.len() - 1);
        let absent = of("a lid without scratches");
        assert_eq!(absent.sentences, ["a photo of a lid without scratches."]);
        assert_eq!(absent.alternatives[0].sentence, "a photo of a lid with scratches.");
    }

    #[test]
    fn anything_can_be_typed() {
        for odd in [
            "",
            " ,.;!",
            "and and with without",
            "is",
            "no",
            "2.5 mm drill",
            "größe ß 東京",
            "with",
            "three",
            "not not red",
            &"a ".repeat(5000),
        ] {
            for claim in claims(odd) {
                assert!(!claim.sentences.is_empty() && !claim.alternatives.is_empty(), "{odd}: {claim:?}");
            }
        }
        assert_eq!(read("A red part and a red part"), ["colour: red part"]);
    }
}
