//! The commands in the documents. Each block of them has a mark behind the word `console`: `typed=TEST` is the test that types
//! these very commands, `example` says that nobody does.

#![allow(dead_code, reason = "one test reads the marks, another one the commands")]

use std::path::Path;

/// A block of commands, and what they print.
#[derive(Debug)]
pub struct Block {
    pub line: usize,
    /// What follows the word `console`.
    pub mark: String,
    /// Without `$`, and without what they print.
    pub commands: Vec<String>,
}

/// The commands of the blocks of this document that name this test.
pub fn typed(document: &str, test: &str) -> Vec<String> {
    let content = read(document);
    let mark = format!("typed={test}");
    let blocks = blocks(&content).into_iter().filter(|block| block.mark == mark);
    let commands: Vec<_> = blocks.flat_map(|block| block.commands).collect();
    assert!(!commands.is_empty(), "{document} has no commands that are {mark}");
    commands
}

/// The commands inside the sentences of this document that say where: with a namespace, or for all.
pub fn in_sentences(document: &str) -> Vec<String> {
    let content = read(document);
    // Every second part is code.
    let spans = content.split('`').skip(1).step_by(2);
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" "));
    let is_whole = |span: &String| {
        let says_where = [" --namespace ", " -n ", " --all-namespaces", " explain zenlayerport"];
        (span.starts_with("kubectl ") || span.starts_with("helm "))
            && says_where.iter().any(|it| span.contains(it))
    };
    spans.filter(is_whole).collect()
}

fn read(document: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// A command begins with `$ `. Its further lines are indented, or follow a `\`.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    // The indentation of the fence of the block that is open.
    let mut open: Option<usize> = None;
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) if info == "console" || info.starts_with("console ") => {
                let mark = info.trim_start_matches("console").trim().to_owned();
                blocks.push(Block { line: number, mark, commands: Vec::new() });
                open = Some(indent);
            }
            (Some(_), Some(_)) => open = None,
            (Some(fence), None) => {
                let Some(Block { commands, .. }) = blocks.last_mut() else { continue };
                let line = line.get(fence..).unwrap_or_default();
                if let Some(command) = line.strip_prefix("$ ") {
                    commands.push(command.to_owned());
                } else if let Some(command) = commands.last_mut().filter(|_| goes_on || line.starts_with(' '))
                {
                    command.push('\n');
                    command.push_str(line);
                }
                goes_on = line.ends_with('\\');
            }
            (None, _) => {}
        }
    }
    blocks
}
