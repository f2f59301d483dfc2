use crate::error::Error;
use crate::invocation::Invocation;
use crate::machine;
use crate::workspace::Workspace;

/// How long to soak, and in what.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long to run random seeds, in minutes; building is not counted.
    #[arg(long, value_name = "N", default_value_t = 10)]
    minutes: u32,
    /// The first seed; those after it are counted up. Random without it.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Which scenario: a name, or a file.
    #[arg(long, value_name = "NAME", default_value = "mixed-faults")]
    scenario: String,
}

/// Runs random seeds of a scenario on every core until the time is over. Each that fails is shown with the command that
/// runs it again.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    machine::check(machine::TO_BUILD)?;
    scenario(options).run(workspace.root())
}

fn scenario(options: &Options) -> Invocation {
    let minutes = options.minutes.to_string();
    let mut args =
        vec!["run", "--locked", "--quiet", "--package", "starling-sim", "--example", "scenario", "--"];
    args.extend([options.scenario.as_str(), "--minutes", &minutes]);
    let seed = options.seed.map(|seed| seed.to_string());
    if let Some(seed) = &seed {
        args.extend(["--seed", seed]);
    }
    Invocation::cargo(&args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_program() {
        let options = Options { minutes: 3, seed: Some(7), scenario: "crashes".into() };
        let line = scenario(&options).to_string();
        assert!(line.ends_with("--example scenario -- crashes --minutes 3 --seed 7"), "{line}");
    }
}
