//! The scenarios that come with this crate, by name.

use super::{Scenario, ScenarioError};

macro_rules! catalogue {
    ($($name:literal),* $(,)?) => {
        /// Their names.
        pub const NAMES: &[&str] = &[$($name),*];

        fn text(name: &str) -> Option<&'static str> {
            match name {
                $($name => Some(include_str!(concat!("../../scenarios/", $name, ".toml"))),)*
                _ => None,
            }
        }
    };
}

catalogue![
    "behind-routers",
    "crashes",
    "diurnal-wave",
    "every-kind-of-router",
    "everyone-restarts",
    "few-seats",
    "flash-crowd",
    "full-disks",
    "island-merges",
    "kad-churn",
    "lossy-links",
    "mixed-faults",
    "one-cut-off",
    "one-street",
    "short-sessions",
    "sixty-percent-lost",
    "split-and-heal",
    "steady",
    "town-behind-routers",
    "wrong-clocks",
];

/// The scenario of a name; `None` if there is none.
///
/// # Errors
/// [`ScenarioError`] if its file is wrong.
pub fn named(name: &str) -> Option<Result<Scenario, ScenarioError>> {
    text(name).map(Scenario::parse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_a_scenario_and_says_what_it_is_about() {
        for name in NAMES {
            let scenario = named(name).unwrap().unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(scenario.about.ends_with('.') && scenario.about.len() > 20, "{name}: {}", scenario.about);
        }
        assert!(named("no-such").is_none());
    }
}
