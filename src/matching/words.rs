//! The words that claims are recognised by: colours, numbers, conditions, negations, and English plurals as far as
//! descriptions of parts need them. Lists only; the rules that use them are in [`super::claim`].

/// Colours that are named as alternatives to each other.
pub const BASIC_COLOURS: &[&str] =
    &["red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey"];

/// Other words for a colour, and the basic colours that are no alternative to it.
const OTHER_COLOURS: &[(&str, &[&str])] = &[
    ("gray", &["grey"]),
    ("silver", &["grey", "white"]),
    ("golden", &["yellow", "orange", "brown"]),
    ("gold", &["yellow", "orange", "brown"]),
    ("copper", &["orange", "brown"]),
    ("bronze", &["orange", "brown"]),
    ("beige", &["white", "yellow", "brown"]),
    ("cream", &["white", "yellow"]),
    ("ivory", &["white"]),
    ("cyan", &["blue", "green"]),
    ("turquoise", &["blue", "green"]),
    ("teal", &["blue", "green"]),
    ("violet", &["purple"]),
    ("magenta", &["pink", "purple", "red"]),
    ("maroon", &["red", "brown"]),
    ("navy", &["blue"]),
    ("transparent", &["white", "grey"]),
    ("colourless", &["white", "grey"]),
];

/// Words that qualify the colour after them.
const SHADES: &[&str] = &["dark", "light", "bright", "pale", "deep"];

/// The colours that are no alternative to `word`; `None` when it names no colour.
pub fn colour(word: &str) -> Option<&'static [&'static str]> {
    if let Some(at) = BASIC_COLOURS.iter().position(|basic| *basic == word) {
        return Some(&BASIC_COLOURS[at..=at]);
    }
    OTHER_COLOURS.iter().find(|(other, _)| *other == word).map(|(_, near)| *near)
}

pub fn is_shade(word: &str) -> bool {
    SHADES.contains(&word)
}

const NUMBERS: &[&str] = &[
    "no",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// A number of 1 to 999 in digits or, up to twenty, in words.
pub fn number(word: &str) -> Option<u32> {
    match word {
        "single" => Some(1),
        "both" => Some(2),
        _ => {
            let spelt = NUMBERS.iter().position(|number| *number == word).map(|at| at as u32);
            let digits = || word.chars().all(|c| c.is_ascii_digit()).then(|| word.parse().ok()).flatten();
            spelt.or_else(digits).filter(|number| (1..1000).contains(number))
        }
    }
}

/// A number in words up to twenty, in digits beyond; 0 is `no`.
pub fn number_word(number: u32) -> String {
    NUMBERS.get(number as usize).map_or_else(|| number.to_string(), |word| (*word).to_owned())
}

/// Conditions and what a part is that does not have them.
const CONDITIONS: &[(&str, &str)] = &[
    ("flawless", "damaged"),
    ("faultless", "damaged"),
    ("perfect", "damaged"),
    ("undamaged", "damaged"),
    ("intact", "broken"),
    ("unbroken", "broken"),
    ("unblemished", "blemished"),
    ("pristine", "worn"),
    ("spotless", "stained"),
    ("clean", "dirty"),
    ("new", "worn"),
    ("unscratched", "scratched"),
    ("uncracked", "cracked"),
    ("complete", "incomplete"),
    ("straight", "bent"),
    ("good", "bad"),
    ("damaged", "undamaged"),
    ("defective", "flawless"),
    ("faulty", "flawless"),
    ("flawed", "flawless"),
    ("broken", "intact"),
    ("fractured", "intact"),
    ("blemished", "unblemished"),
    ("worn", "new"),
    ("stained", "spotless"),
    ("dirty", "clean"),
    ("contaminated", "clean"),
    ("rusty", "clean"),
    ("corroded", "clean"),
    ("scratched", "unscratched"),
    ("cracked", "uncracked"),
    ("chipped", "intact"),
    ("incomplete", "complete"),
    ("bent", "straight"),
    ("deformed", "undamaged"),
    ("dented", "undamaged"),
    ("frayed", "intact"),
    ("torn", "intact"),
    ("bad", "good"),
];

/// The contrary of a condition; `None` when the word names none.
pub fn contrary(word: &str) -> Option<&'static str> {
    CONDITIONS.iter().find(|(condition, _)| *condition == word).map(|(_, contrary)| *contrary)
}

/// Nouns that say nothing of what a part is.
pub fn is_generic(noun: &str) -> bool {
    ["part", "object", "product", "item", "thing", "component", "piece", "workpiece", "sample", "specimen"]
        .contains(&noun)
}

/// Words for the picture itself, before `of`.
pub fn is_picture(word: &str) -> bool {
    ["photo", "photograph", "picture", "image", "shot", "view", "close-up", "closeup"].contains(&word)
}

/// Words that carry no claim.
pub fn is_filler(word: &str) -> bool {
    [
        "a", "an", "the", "this", "that", "these", "those", "its", "their", "some", "any", "very", "clearly",
        "visible", "exactly", "only", "also", "which", "it", "there", "all", "each",
    ]
    .contains(&word)
}

/// A noun phrase before and from its first preposition on: `hole` and ` in the lid`.
fn head(noun: &str) -> (&str, &str) {
    const PREPOSITIONS: &[&str] =
        &[" on ", " in ", " at ", " of ", " from ", " near ", " under ", " above ", " below ", " inside ", " made "];
    let at = PREPOSITIONS.iter().filter_map(|preposition| noun.find(preposition)).min().unwrap_or(noun.len());
    noun.split_at(at)
}

/// The singular of the head's last word.
pub fn singular(noun: &str) -> String {
    let (head, tail) = head(noun);
    let last = head.rsplit(' ').next().unwrap_or(head);
    let before = &head[..head.len() - last.len()];
    let one = if let Some(stem) = last.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        format!("{stem}y")
    } else if ["ses", "xes", "zes", "ches", "shes"].iter().any(|end| last.ends_with(end)) {
        last[..last.len() - 2].to_owned()
    } else if last.ends_with('s') && last.len() > 3 && !["ss", "us", "is"].iter().any(|end| last.ends_with(end)) {
        last[..last.len() - 1].to_owned()
    } else {
        last.to_owned()
    };
    format!("{before}{one}{tail}")
}

/// The plural of the head's last word; one that is a plural already stays.
pub fn plural(noun: &str) -> String {
    if singular(noun) != noun {
        return noun.to_owned();
    }
    let (one, tail) = head(noun);
    let vowel_before_y = one.len() > 1 && one[..one.len() - 1].ends_with(['a', 'e', 'i', 'o', 'u']);
    let many = if let Some(stem) = one.strip_suffix('y').filter(|_| !vowel_before_y) {
        format!("{stem}ies")
    } else if ["s", "x", "z", "ch", "sh"].iter().any(|end| one.ends_with(end)) {
        format!("{one}es")
    } else {
        format!("{one}s")
    };
    format!("{many}{tail}")
}

/// With `a` or `an` in front, unless it is a plural.
pub fn with_article(noun: &str) -> String {
    if singular(noun) != noun {
        noun.to_owned()
    } else if noun.starts_with(['a', 'e', 'i', 'o', 'u']) && !noun.starts_with("uni") {
        format!("an {noun}")
    } else {
        format!("a {noun}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_there_and_back() {
        for (one, many) in [
            ("hole", "holes"),
            ("box", "boxes"),
            ("glass", "glasses"),
            ("battery", "batteries"),
            ("key", "keys"),
            ("scratch", "scratches"),
            ("hole in the lid", "holes in the lid"),
            ("metal nut", "metal nuts"),
            ("brush", "brushes"),
        ] {
            assert_eq!((plural(one).as_str(), singular(many).as_str()), (many, one));
            assert_eq!((plural(many).as_str(), singular(one).as_str()), (many, one));
        }
        assert_eq!(with_article("orange cap"), "an orange cap");
        assert_eq!(with_article("holes"), "holes");
        assert_eq!(with_article("uniform surface"), "a uniform surface");
    }

    #[test]
    fn numbers_in_words_and_digits() {
        assert_eq!(
            (number("three"), number("12"), number("no"), number("0"), number("x2")),
            (Some(3), Some(12), None, None, None)
        );
        assert_eq!((number_word(0).as_str(), number_word(3).as_str(), number_word(40).as_str()), ("no", "three", "40"));
    }

    #[test]
    fn every_condition_has_a_contrary_that_is_another_word() {
        assert!(CONDITIONS.iter().all(|(condition, contrary)| condition != contrary));
        assert_eq!(contrary("scratched"), Some("unscratched"));
        assert_eq!(contrary("round"), None);
    }

    #[test]
    fn near_colours_are_no_alternatives() {
        assert_eq!(colour("silver"), Some(&["grey", "white"][..]));
        assert_eq!(colour("red"), Some(&["red"][..]));
        assert_eq!(colour("round"), None);
    }
}
