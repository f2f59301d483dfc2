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
    /// The first seed; those after it are counted up. Random without it, but 1 for crash points.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Which scenario: a name, or a file.
    #[arg(long, value_name = "NAME", default_value = "mixed-faults")]
    scenario: String,
    /// Instead of a scenario, so many points at which a machine fails, of every kind.
    #[arg(long, value_name = "N", conflicts_with_all = ["minutes", "scenario"])]
    crash_points: Option<u32>,
}

/// Runs random seeds of a scenario on every core until the time is over, or crash points. Each that fails is shown with
/// the command that runs it again.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<(), Error> {
    machine::check(machine::TO_BUILD)?;
    soak(options).run(workspace.root())
}

fn soak(options: &Options) -> Invocation {
    let (minutes, points) =
        (options.minutes.to_string(), options.crash_points.map(|count| count.to_string()));
    let (example, what) = match &points {
        Some(count) => ("crash_points", ["--count", count].to_vec()),
        None => ("scenario", [options.scenario.as_str(), "--minutes", &minutes].to_vec()),
    };
    let mut args =
        vec!["run", "--locked", "--quiet", "--package", "starling-sim", "--example", example, "--"];
    args.extend(what);
    let seed = options.seed.map(|seed| seed.to_string());
    if let Some(seed) = &seed {
        args.extend(["--seed", seed]);
    }
    Invocation::cargo(&args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &Options) -> String {
        soak(options).to_string()
    }

    #[test]
    fn options_reach_the_program() {
        let options = Options { minutes: 3, seed: Some(7), scenario: "crashes".into(), crash_points: None };
        let scenario = line(&options);
        assert!(scenario.ends_with("--example scenario -- crashes --minutes 3 --seed 7"), "{scenario}");
        let points = line(&Options { crash_points: Some(100), seed: None, ..options });
        assert!(points.ends_with("--example crash_points -- --count 100"), "{points}");
    }
}
