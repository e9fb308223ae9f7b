//! Numbers with their nouns, for sentences: `1 photo`, `2 photos`. Files that programs read have numbers alone.

/// The number, then the word or words that go with it.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_no_plural() {
        let said = [0, 1, 2].map(|number| count(number, "class", "classes"));
        assert_eq!(said, ["0 classes", "1 class", "2 classes"]);
    }
}
