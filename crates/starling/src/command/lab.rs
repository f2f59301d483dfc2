//! `starling lab`: simulations of many peers in this process, and what they show.

mod attack;
mod attack_page;
mod chart;
mod law;
mod mail;
mod mail_page;
mod meter;
mod report;
mod scale;
mod scale_page;
mod scenario;
mod work;

use std::process::ExitCode;

use clap::Subcommand;

use crate::context::Context;
use crate::failure::Failure;

/// Simulate networks of many peers in this process, and measure them.
///
/// What is simulated is the program itself, with a made-up clock, wires and disks: no peer is started, nothing leaves
/// this machine, and the same seed gives the same figures, times and memory apart.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = false)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Scale(scale::Args),
    Attack(attack::Args),
    Mail(mail::Args),
    Scenario(scenario::Args),
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Scale(args) => scale::run(args, context),
        Action::Attack(args) => attack::run(args, context),
        Action::Mail(args) => mail::run(args, context),
        Action::Scenario(args) => scenario::run(args, context),
    }
}
