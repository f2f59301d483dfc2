//! Who appears in the demonstration.

/// One person: what they are called and what they say of themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    /// The name.
    pub(super) name: String,
    /// The about text.
    pub(super) about: String,
}

const NAMES: [&str; 12] = [
    "Amina", "Bruno", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hiroshi", "Irina", "Jonas", "Katya",
    "Lucia",
];
const TRADES: [&str; 6] = ["astronomer", "beekeeper", "carpenter", "doctor", "engineer", "fisher"];
const TOWNS: [&str; 4] = ["Lisbon", "Nairobi", "Osaka", "Tallinn"];
const LOVES: [&str; 5] = ["chess", "climbing", "gardening", "jazz", "sailing"];

/// The first `count` people. Trades, towns and pastimes go round in cycles of different lengths, so that people have
/// some words in common and no two of the first sixty say the same.
pub(super) fn people(count: usize) -> Vec<Person> {
    let pick =
        |list: &'static [&'static str], number: usize| list.iter().copied().cycle().nth(number).unwrap_or("");
    let person = |number: usize| {
        let name = pick(&NAMES, number);
        let again = number.checked_div(NAMES.len()).unwrap_or(0);
        Person {
            name: if again == 0 { name.to_owned() } else { format!("{name} {again}") },
            about: format!(
                "{} in {}, fond of {}",
                pick(&TRADES, number),
                pick(&TOWNS, number),
                pick(&LOVES, number)
            ),
        }
    };
    (0..count).map(person).collect()
}

impl Person {
    /// Whether each of `words` is the beginning of one of this person's words: what a search should find, worked out
    /// without the code that is shown.
    pub(super) fn has_all(&self, words: &[&str]) -> bool {
        let text = format!("{} {}", self.name, self.about).to_lowercase();
        let own: Vec<&str> = text.split(|letter: char| !letter.is_alphanumeric()).collect();
        words.iter().all(|word| own.iter().any(|own| own.starts_with(word)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn people_differ() {
        let people = people(50);
        let said: BTreeSet<&str> = people.iter().map(|person| person.about.as_str()).collect();
        let names: BTreeSet<&str> = people.iter().map(|person| person.name.as_str()).collect();
        assert_eq!((said.len(), names.len()), (50, 50));
    }

    #[test]
    fn words_are_found_by_their_beginnings() {
        let amina = &people(1)[0];
        assert!(amina.has_all(&["astro", "lis"]) && !amina.has_all(&["astro", "osaka"]));
    }
}
