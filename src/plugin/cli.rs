//! The command line of the plugin.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::report::Actor;
use crate::api::Reason;

/// What each command ends with.
macro_rules! exit_codes {
    ($examples:literal, $more:literal) => {
        concat!("Examples:\n", $examples, "\n\n", exit_codes!($more))
    };
    ($more:literal) => {
        concat!("Exit codes: 0 done; 1 an error; 2 wrong usage", $more, ".")
    };
}

/// Shows what happens to the Zenlayer ports of this cluster, why, and what you can do.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-zenlayerport",
    bin_name = "kubectl zenlayerport",
    version,
    disable_help_subcommand = true,
    after_help = exit_codes!("; 3 a port needs you, or the operator does not run (only with status --exit-code)")
)]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,

    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

impl Color {
    pub fn write_global(self) {
        match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }
}

/// Which cluster, and as whom.
#[derive(Clone, Debug, Default, Args)]
pub struct Connection {
    /// The kubeconfig file.
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,

    /// The context of the kubeconfig.
    #[arg(long, global = true)]
    pub context: Option<String>,

    /// The user to impersonate.
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,

    /// A group to impersonate. You can repeat it.
    #[arg(long, global = true, value_name = "GROUP", requires = "as_user", action = ArgAction::Append)]
    pub as_group: Vec<String>,

    /// The namespace. The default is that of the context.
    #[arg(short, long, global = true)]
    pub namespace: Option<String>,

    /// How long to wait for the API server, such as 30s.
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub request_timeout: Duration,
}

impl Connection {
    /// The flags that choose the cluster and the user, as one types them again.
    pub fn flags(&self) -> String {
        let context = self.context.as_ref().map(|context| ("--context", context));
        let user = self.as_user.as_ref().map(|user| ("--as", user));
        let groups = self.as_group.iter().map(|group| ("--as-group", group));
        let others = context.into_iter().chain(user).chain(groups);
        let others = others.map(|(flag, value)| format!("{flag} {}", quoted(value)));
        let file = [self.file_flag()].into_iter().filter(|flag| !flag.is_empty());
        file.chain(others).collect::<Vec<_>>().join(" ")
    }

    /// The flag that chooses the kubeconfig; empty if there is none.
    pub fn file_flag(&self) -> String {
        let file =
            self.kubeconfig.as_ref().map(|file| format!("--kubeconfig {}", quoted(&file.to_string_lossy())));
        file.unwrap_or_default()
    }
}

/// A word as a shell reads it.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let malformed = || format!("{text:?} is not a duration; write it like 10s or 1m");
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| malformed())?;
    Duration::try_from(parsed).ok().filter(|duration| !duration.is_zero()).ok_or_else(malformed)
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show which ports need you, and what to type.
    #[command(after_help = exit_codes!(
        "  kubectl zenlayerport status                      the ports of this namespace\n  \
           kubectl zenlayerport status -A --actor you       only what needs you, in the whole cluster\n  \
           kubectl zenlayerport status -A -o json           for a script\n  \
           kubectl zenlayerport status -A --exit-code       exit with 3 if somebody must act",
        "; 3 a port needs you, or the operator does not run (only with --exit-code)"
    ))]
    Status(StatusOptions),

    /// Explain one port: what the operator waits for, who acts, what was called, and what you can do.
    #[command(after_help = exit_codes!(
        "  kubectl zenlayerport explain edge -n team-a\n  \
           kubectl zenlayerport explain team-a/edge             the same, as status prints it\n  \
           kubectl zenlayerport explain edge -n team-a --all    with every row of the decision\n  \
           kubectl zenlayerport explain edge -n team-a -o yaml",
        ""
    ))]
    Explain(ExplainOptions),

    /// Say what a deletion would do, before you delete anything.
    #[command(after_help = exit_codes!(
        "  kubectl zenlayerport plan edge -n team-a\n  \
           kubectl zenlayerport plan -n team-a            all ports of the namespace, deleted together\n  \
           kubectl zenlayerport plan -A -l site=sin1",
        ""
    ))]
    Plan(PlanOptions),

    /// Approve deletions that the operator has paused.
    #[command(after_help = exit_codes!(
        "  kubectl zenlayerport approve edge -n team-a\n  \
           kubectl zenlayerport approve --all --reason MassDeletion -n team-a\n  \
           kubectl zenlayerport approve --all -A --dry-run      show what would be approved",
        "; a name that does not wait for approval is an error"
    ))]
    Approve(ApproveOptions),

    /// Print the script that completes names in a shell.
    #[command(after_help = "Install it beside the plugin, so that kubectl finds it:\n  \
        kubectl zenlayerport completion > kubectl_complete-zenlayerport\n  \
        chmod +x kubectl_complete-zenlayerport && sudo mv kubectl_complete-zenlayerport /usr/local/bin/")]
    Completion,

    /// What the completion script asks.
    #[command(name = "__complete", hide = true)]
    Complete {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

/// Which objects.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// In all namespaces.
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,

    /// Only objects with these labels, such as site=sin1.
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub selector: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    Json,
    Yaml,
}

#[derive(Debug, Args)]
pub struct StatusOptions {
    #[command(flatten)]
    pub selection: Selection,

    /// Only ports that wait for this one.
    #[arg(long)]
    pub actor: Option<Actor>,

    /// Only ports that show this reason, such as NotInRecycleBin.
    #[arg(long, value_parser = known(), hide_possible_values = true)]
    pub reason: Option<Reason>,

    /// Each port in a line of its own.
    #[arg(long)]
    pub all: bool,

    /// Exit with 3 if a port needs you, or if the operator does not run.
    #[arg(long)]
    pub exit_code: bool,

    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct ExplainOptions {
    /// The name of the ZenlayerPort, or NAMESPACE/NAME.
    pub name: String,

    /// Every row of the decision.
    #[arg(long)]
    pub all: bool,

    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct PlanOptions {
    /// The names of the ZenlayerPorts, or NAMESPACE/NAME; none: all of the namespace.
    #[arg(conflicts_with_all = ["all_namespaces", "selector"])]
    pub names: Vec<String>,

    #[command(flatten)]
    pub selection: Selection,

    /// Each port in a line of its own.
    #[arg(long)]
    pub all: bool,

    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: Format,
}

#[derive(Debug, Args)]
pub struct ApproveOptions {
    /// The names of the ZenlayerPorts, or NAMESPACE/NAME.
    #[arg(required_unless_present = "all", conflicts_with_all = ["all", "all_namespaces", "selector"])]
    pub names: Vec<String>,

    /// Every ZenlayerPort of the namespace that waits for approval.
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub selection: Selection,

    /// Only ports that wait for this reason.
    #[arg(long, value_parser = approvable())]
    pub reason: Option<Reason>,

    /// Approve without asking for the number.
    #[arg(short, long)]
    pub yes: bool,

    /// Show what would be approved, and approve nothing.
    #[arg(long)]
    pub dry_run: bool,
}

fn known() -> impl TypedValueParser<Value = Reason> {
    reasons(|_| true)
}

fn approvable() -> impl TypedValueParser<Value = Reason> {
    reasons(Reason::is_approvable)
}

/// Each of these with its meaning, for the completion.
fn reasons(is_among: impl Fn(Reason) -> bool) -> impl TypedValueParser<Value = Reason> {
    let among = Reason::ALL.iter().filter(|reason| is_among(**reason));
    let values = among.map(|reason| PossibleValue::new(reason.as_str()).help(reason.meaning()));
    PossibleValuesParser::new(values).try_map(|word| Reason::parse(&word).ok_or("not a reason"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_flags_can_be_typed_again() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from([
            "x",
            "status",
            "--context",
            "my prod",
            "--as",
            "o'neil",
            "--as-group",
            "ops",
        ]);
        let flags = cli.expect("flags").connection.flags();
        assert_eq!(flags, r"--context 'my prod' --as 'o'\''neil' --as-group ops");
    }

    #[test]
    fn names_and_a_selection_exclude_each_other() {
        for words in [["approve", "edge", "-A"], ["approve", "edge", "--all"], ["plan", "edge", "-A"]] {
            assert!(Cli::try_parse_from([&["x"][..], &words].concat()).is_err(), "{words:?}");
        }
        assert!(Cli::try_parse_from(["x", "approve"]).is_err(), "what is to be approved?");
    }
}
