//! One page about a run in which something did not hold.

use crate::Run;
use crate::oracle::Violation;

/// So many lines tell of what led there.
const LAST: usize = 60;

/// What did not hold, and the last lines about it.
pub fn page(run: &Run) -> String {
    let Some(violation) = run.violations.first() else { return String::new() };
    let about = subjects(violation);
    let concerns = |line: &&String| {
        let is_about = about.iter().any(|word| line.contains(word.as_str()));
        let is_turn = [" starts", " is killed", " ends", "people: ", "VIOLATION", "the API server restarts"];
        is_about || is_turn.iter().any(|turn| line.contains(turn))
    };
    // What is only read comes again and again.
    let repeats =
        |line: &&String| [" log: ", ": GET ", ": DescribePorts "].iter().any(|it| line.contains(it));
    let lines: Vec<&String> = run.lines.iter().filter(concerns).filter(|line| !repeats(line)).collect();
    let first = lines.len().saturating_sub(LAST);
    let lines: Vec<&str> = lines[first..].iter().map(|line| line.as_str()).collect();
    format!("{violation}\n\n{}\n", lines.join("\n"))
}

/// The object and the port that the violation names, and the namespace of the object.
fn subjects(violation: &Violation) -> Vec<String> {
    let words = violation.what.split([' ', '(', ')', ',', ':', '"']);
    let named =
        words.filter(|word| word.starts_with("port-") || (word.contains('/') && word.starts_with("team-")));
    let mut named: Vec<String> = named.map(str::to_owned).collect();
    let namespaces: Vec<String> = named
        .iter()
        .filter_map(|word| word.split_once('/'))
        .map(|(it, _)| format!("{it}/zenlayer"))
        .collect();
    named.extend(namespaces);
    named
}
