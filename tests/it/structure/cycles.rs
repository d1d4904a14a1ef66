//! Import cycles between the files of a folder, found by reading paths that begin with `crate`, `self` or `super`.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::{SOURCES, Source, sources};

/// The cycles that are still there: a folder, and files and folders in it that import each other, some by way of others. They
/// are to go. A new one is an error, and so is a line here that nothing is left of: the list can only shrink.
const CYCLES: &[(&str, &[&str])] = &[
    ("src/journal", &["changes", "front", "rested", "schema", "table"]),
    ("src/plan", &["document", "exact", "examples", "groups", "hazards", "look", "points", "seen"]),
    ("src/plan", &["give_back", "sample"]),
];

type Module = Vec<String>;

/// The modules of one crate, with what each imports.
#[derive(Default)]
struct Crate {
    modules: BTreeSet<Module>,
    /// What a name in a module stands for, if the module imports it from one of the crate.
    names: BTreeMap<(Module, String), Module>,
    /// Where a path stands, and the path, from the crate's root.
    paths: Vec<(Module, Module)>,
}

impl Crate {
    fn new(files: &[(Module, String)]) -> Self {
        let mut this = Self { modules: files.iter().map(|(module, _)| module.clone()).collect(), ..Self::default() };
        let imports = Regex::new(r"(?m)^ *(?:pub(?:\([a-z: ]+\))? )?use ([^;]+);").expect("a pattern");
        for (module, code) in files {
            let trees = imports.captures_iter(code).map(|import| import.extract::<1>().1[0]);
            for path in trees.flat_map(paths) {
                let Some(path) = this.absolute(module, &path) else { continue };
                if let Some(name) = path.last() {
                    let name = name.clone();
                    this.names.insert((module.clone(), name), path);
                }
            }
            for start in ["crate::", "self::", "super::"] {
                for (at, _) in code.match_indices(start) {
                    let before = code[..at].chars().next_back().unwrap_or(' ');
                    if !before.is_alphanumeric() && !matches!(before, '_' | ':' | '$') {
                        let found = paths(&code[at..]);
                        let found: Vec<_> = found.iter().filter_map(|path| this.absolute(module, path)).collect();
                        this.paths.extend(found.into_iter().map(|path| (module.clone(), path)));
                    }
                }
            }
        }
        this
    }

    /// A path from the crate's root, if it is one of this crate.
    fn absolute(&self, module: &[String], path: &[String]) -> Option<Module> {
        let mut base = module.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            child => {
                base.push(child.to_owned());
                self.modules.contains(&base).then_some(())?;
            }
        }
        rest = &rest[1..];
        while rest.first().is_some_and(|step| step == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// The module in which that which a path leads to is written, through what modules import for others.
    fn home(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        for _ in 0..8 {
            let depth = (0..=path.len()).rev().find(|depth| self.modules.contains(&path[..*depth])).unwrap_or_default();
            let imported = path.get(depth).and_then(|name| self.names.get(&(path[..depth].to_vec(), name.clone())));
            match imported {
                Some(target) if target[..] != path[..=depth] => path = [target, &path[depth + 1..]].concat(),
                _ => return path[..depth].to_vec(),
            }
        }
        path
    }

    /// Folder by folder, which file or folder imports which other one in it. A file that gives its name to a folder, or is its
    /// `mod.rs`, is no file in it: what it declares is its children's to use, as it uses theirs.
    fn imports(&self) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
        let mut folders: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
        for (from, path) in &self.paths {
            let to = self.home(path);
            let common = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
            if let (Some(importer), Some(imported)) = (from.get(common), to.get(common)) {
                let folder = folders.entry(from[..common].to_vec()).or_default();
                folder.entry(importer.clone()).or_default().insert(imported.clone());
            }
        }
        folders
    }
}

/// All paths of a `use` tree, or of one path in code: what stands at the start of the text.
fn paths(text: &str) -> Vec<Module> {
    fn tree(text: &str, prefix: &[String], found: &mut Vec<Module>) -> usize {
        let (mut path, mut at) = (prefix.to_vec(), 0);
        loop {
            let rest = &text[at..];
            if rest.starts_with('{') {
                at += 1;
                loop {
                    at += text[at..].len() - text[at..].trim_start_matches([' ', '\n', ',']).len();
                    if at >= text.len() || text[at..].starts_with('}') {
                        return (at + 1).min(text.len());
                    }
                    let taken = tree(&text[at..], &path, found);
                    at += taken;
                    if taken == 0 {
                        return text.len();
                    }
                }
            }
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            if word > 0 && &rest[..word] != "self" || path.is_empty() {
                path.extend((word > 0).then(|| rest[..word].to_owned()));
            }
            at += word;
            if !text[at..].starts_with("::") {
                found.push(path);
                // Another name for it is not followed.
                let end = if text[at..].starts_with(" as ") { text[at..].find([',', '}', ';']) } else { None };
                return at + end.unwrap_or(0);
            }
            at += 2;
        }
    }
    let mut found = Vec::new();
    tree(text, &[], &mut found);
    found
}

/// Groups that import each other, each in the order of the alphabet.
fn cycles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&String> = imports.get(from).into_iter().flatten().collect();
        while let Some(module) = next.pop() {
            if reached.insert(module) {
                next.extend(imports.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = imports.keys().map(|module| (module, reached(module))).collect();
    let group = |module: &String| {
        let others =
            reached[module].iter().filter(|other| reached.get(**other).is_some_and(|back| back.contains(module)));
        others.map(|other| (*other).clone()).collect::<Vec<_>>()
    };
    imports.keys().map(group).filter(|group| group.len() > 1).collect()
}

/// The sources of each crate, by the folder they are in.
fn crates() -> BTreeMap<String, Vec<(Module, String)>> {
    let mut crates: BTreeMap<String, Vec<(Module, String)>> = BTreeMap::new();
    let written = SOURCES.iter().flat_map(|folder| sources(folder)).filter(|source: &Source| !source.is_test());
    for source in written {
        let path = source.path.with_extension("").to_string_lossy().into_owned();
        let Some((root, module)) = path.strip_prefix("src/").map(|module| ("src", module)).or_else(|| {
            let end = path.find("/src/")?;
            Some((&path[..end + 4], &path[end + 5..]))
        }) else {
            continue;
        };
        let mut module: Module = module.split('/').map(str::to_owned).collect();
        module.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
        crates.entry(root.to_owned()).or_default().push((module, source.code()));
    }
    crates
}

#[test]
fn no_new_cycles_inside_folders() {
    let mut found = BTreeSet::new();
    for (root, files) in crates() {
        for (folder, imports) in Crate::new(&files).imports() {
            let folder = [vec![root.clone()], folder].concat().join("/");
            found.extend(cycles(&imports).into_iter().map(|group| (folder.clone(), group)));
        }
    }
    let is_left_of = |(folder, group): &(String, Vec<String>), (in_folder, listed): &(&str, &[&str])| {
        folder == in_folder && group.iter().all(|name| listed.contains(&name.as_str()))
    };
    let new: Vec<_> = found.iter().filter(|cycle| !CYCLES.iter().any(|listed| is_left_of(cycle, listed))).collect();
    assert!(new.is_empty(), "files that import each other, and not as the list has it: {new:#?}");
    let gone: Vec<_> = CYCLES.iter().filter(|listed| !found.iter().any(|cycle| is_left_of(cycle, listed))).collect();
    assert!(gone.is_empty(), "no longer there, and so to be taken off the list: {gone:#?}");
}

#[test]
fn cycles_are_found() {
    let file = |path: &str, code: &str| {
        (path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect(), code.to_owned())
    };
    let found = |files: &[(Module, String)]| -> Vec<String> {
        let imports = Crate::new(files).imports();
        imports
            .iter()
            .flat_map(|(folder, imports)| {
                let folder = folder.join("/");
                cycles(imports).into_iter().map(move |group| format!("{folder}: {}", group.join(" ")))
            })
            .collect()
    };
    let face = file("a", "mod b;\nmod c;\npub use b::B;\nuse self::c::{C, other::D};");
    // By `super`, by `crate`, and by what the folder's own file imports; a path in code counts.
    let both = [face.clone(), file("a/b", "use super::C;"), file("a/c", "fn x() -> Vec<crate::a::b::B> {}")];
    assert_eq!(found(&both), ["a: b c"]);
    let one = [face.clone(), file("a/b", "use super::{C, E};"), file("a/c", "use crate::z::{b::B, d};"), file("z", "")];
    assert_eq!(found(&one), [""; 0]);
    let round = [
        file("", ""),
        file("a", "use crate::{b::{B, self}, d::D};"),
        file("b", "use super::c::C as Other;"),
        file("c", "pub(in crate::a) fn x() {}"),
        file("d", "use serde::a;"),
    ];
    assert_eq!(found(&round), [": a b c"]);
}
