//! Which files an object means: path, filename, filepath and behaviours, as OpenSCAP 1.3.7
//! walks.

use super::Cache;
use super::matcher::Matcher;
use super::prefix::Prefix;
use super::tree::path;
use super::walk::{Act, Info, Trouble, Visit, Walk};
use crate::oval::compare::Pattern;
use crate::oval::item::{Collected, Flag, Item};
use crate::oval::model::Operation;
use crate::probe::{Bound, Context, Query};
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    None,
    Down,
    Up,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FileSystem {
    All,
    Local,
    Defined,
}

struct Behaviors {
    /// None: no limit.
    max_depth: Option<usize>,
    direction: Direction,
    links: bool,
    directories: bool,
    file_system: FileSystem,
}

impl Behaviors {
    fn parse(query: &Query) -> Result<Self, String> {
        let wrong = |name: &str, value: &str| Err(format!("behavior {name} is {value:?}"));
        let max_depth = match query.behavior("max_depth") {
            None | Some("-1") => None,
            Some(text) => match text.trim().parse::<i64>() {
                Ok(depth) => Some(usize::try_from(depth).unwrap_or(0)),
                Err(_) => return wrong("max_depth", text),
            },
        };
        let direction = match query.behavior("recurse_direction") {
            None | Some("none") => Direction::None,
            Some("down") => Direction::Down,
            Some("up") => Direction::Up,
            Some(other) => return wrong("recurse_direction", other),
        };
        let (links, directories) = match query.behavior("recurse") {
            None | Some("symlinks and directories") => (true, true),
            Some("files and directories" | "directories") => (false, true),
            Some("symlinks") => (true, false),
            Some(other) => return wrong("recurse", other),
        };
        let file_system = match query.behavior("recurse_file_system") {
            None | Some("all") => FileSystem::All,
            Some("local") => FileSystem::Local,
            Some("defined") => FileSystem::Defined,
            Some(other) => return wrong("recurse_file_system", other),
        };
        Ok(Self {
            max_depth,
            direction,
            links,
            directories,
            file_system,
        })
    }
}

/// A file that an object means.
pub(super) struct Found<'f> {
    /// The directory's path, as it was reached.
    pub directory: &'f [u8],
    /// The file's name; None: the directory itself is meant.
    pub name: Option<&'f [u8]>,
    /// Its whole path.
    pub whole: &'f [u8],
    /// What it is, a start's link followed.
    pub info: Info,
    /// Where its metadata is.
    pub visit: &'f Visit<'f>,
}

/// What a path is, and its device where that is known.
type Seen = (Info, Option<u64>);

/// Files are handed over one by one; false stops.
type Sink<'s> = &'s mut dyn FnMut(&Found<'_>, &Walk<'_>) -> bool;

/// Hands over every file that the query means, each once, and says what could not be seen.
pub(super) fn each(query: &Query, ctx: &Context<'_>, sink: Sink<'_>) -> Trouble {
    let trouble = Trouble::default();
    let walk = Walk {
        system: ctx.system,
        tree: &ctx.files.tree,
        trouble: &trouble,
    };
    let behaviors = match Behaviors::parse(query) {
        Ok(behaviors) => behaviors,
        Err(message) => {
            trouble.error(message);
            return trouble;
        }
    };
    let (entity, filename, whole) = match (query.entity("path"), query.entity("filepath")) {
        (Some(entity), None) => (entity, query.entity("filename"), false),
        (None, Some(entity)) => (entity, None, true),
        _ => {
            trouble.error("the object has neither a path nor a filepath");
            return trouble;
        }
    };
    let filename = filename.filter(|filename| !filename.nil);
    let selection = Selection {
        ctx,
        walk: &walk,
        behaviors,
        path: entity,
        matcher: Matcher::new(ctx, entity),
        name: filename.map(|filename| (filename, Matcher::new(ctx, filename))),
        whole,
    };
    // Hashes, under keys that nobody can know: as paths, a whole system would not fit.
    let keys = RandomState::new();
    let mut seen: HashSet<u64> = HashSet::new();
    // Only these can reach a file twice.
    let twice = entity.values.len() > 1
        || (entity.operation != Operation::Equals
            && !whole
            && selection.behaviors.direction != Direction::None)
        || selection.behaviors.direction == Direction::Up;
    selection.run(&mut |found, walk| {
        if twice && !seen.insert(keys.hash_one(found.whole)) {
            return true;
        }
        sink(found, walk)
    });
    trouble
}

struct Selection<'a> {
    ctx: &'a Context<'a>,
    walk: &'a Walk<'a>,
    behaviors: Behaviors,
    path: &'a Bound,
    matcher: Matcher<'a>,
    name: Option<(&'a Bound, Matcher<'a>)>,
    /// `filepath` instead of `path` and `filename`.
    whole: bool,
}

impl Selection<'_> {
    fn run(&self, sink: Sink<'_>) -> bool {
        match self.path.operation {
            Operation::Equals => self.path.values.iter().enumerate().all(|(index, value)| {
                self.path.values.iter().take(index).any(|one| one == value)
                    || !self.is(&self.matcher, value.as_bytes())
                    || self.equal(value.as_bytes(), sink)
            }),
            Operation::PatternMatch => self.path.values.iter().all(|value| {
                let anchored = if value.starts_with('^') {
                    value.to_string()
                } else {
                    format!("^{value}")
                };
                match self.ctx.pattern(&anchored) {
                    Some(pattern) => {
                        let prefix = self.ctx.files.prefix(value);
                        self.search(prefix.start.as_bytes(), Some((&pattern, &prefix)), sink)
                    }
                    None => {
                        self.walk
                            .trouble
                            .error(format!("pattern {value:?} is not valid"));
                        true
                    }
                }
            }),
            _ => self.search(b"/", None, sink),
        }
    }

    fn is(&self, matcher: &Matcher<'_>, actual: &[u8]) -> bool {
        match matcher.matches(self.ctx, actual) {
            Ok(yes) => yes,
            Err(message) => {
                self.walk.trouble.error(message);
                false
            }
        }
    }

    /// Whether the walk may enter, or look at, something on that device.
    fn reachable(&self, visit: &Visit<'_>, start: Option<u64>) -> bool {
        if self.behaviors.file_system == FileSystem::All {
            return true;
        }
        let locals = match self.ctx.files.locals(self.ctx.system) {
            Ok(locals) => locals,
            Err(message) => {
                self.walk.trouble.error(message);
                return false;
            }
        };
        if locals.closed.contains(visit.path) {
            return false;
        }
        let device = visit.device(self.walk);
        match self.behaviors.file_system {
            FileSystem::Defined => device == start,
            _ => device.is_some_and(|device| locals.holds(device)),
        }
    }

    /// One path, known.
    fn equal(&self, value: &[u8], sink: Sink<'_>) -> bool {
        let Some((info, start)) = self.walk.look(value) else {
            return true;
        };
        let visit = Visit::direct(value, info);
        if self.whole {
            return info == Info::Directory
                || (self.behaviors.file_system == FileSystem::Local
                    && !self.reachable(&visit, None))
                || emit(&visit, true, sink, self.walk);
        }
        if info != Info::Directory || !self.reachable(&visit, start) {
            return true;
        }
        if let (Direction::None, Some((bound, matcher))) = (self.behaviors.direction, &self.name)
            && let Some(names) = bound.exact()
        {
            // Known names need no listing.
            let mut whole = Vec::new();
            return names.iter().enumerate().all(|(index, name)| {
                let name = name.as_bytes();
                let plain = !name.is_empty()
                    && !name.contains(&b'/')
                    && !name.contains(&0)
                    && name != b"."
                    && name != b"..";
                if !plain
                    || names.iter().take(index).any(|one| one.as_bytes() == name)
                    || !self.is(matcher, name)
                {
                    return true;
                }
                super::tree::join(&mut whole, value, name);
                match self.walk.system.lstat(path(&whole)) {
                    Ok(metadata) => {
                        let visit = Visit::direct(&whole, Info::of(metadata.kind));
                        visit.info == Info::Directory || emit(&visit, true, sink, self.walk)
                    }
                    Err(error) => {
                        if !super::walk::absent(&error) {
                            self.walk
                                .trouble
                                .incomplete(super::walk::shown_error(&whole, &error));
                        }
                        true
                    }
                }
            });
        }
        self.recurse(value, (info, start), start, sink)
    }

    /// All paths below the start that match.
    fn search(&self, start: &[u8], pattern: Option<(&Pattern, &Prefix)>, sink: Sink<'_>) -> bool {
        let Some(seen) = self.walk.look(start) else {
            return true;
        };
        let device = seen.1;
        self.walk.run(start, seen, &mut |visit| {
            if visit.info == Info::Link {
                return Act::Follow;
            }
            let directory = visit.info == Info::Directory;
            if directory {
                if let Some((_, prefix)) = pattern
                    && !prefix.allows(visit.path)
                {
                    return Act::Skip;
                }
                if !self.reachable(visit, device) {
                    return Act::Skip;
                }
            }
            if directory == self.whole {
                return Act::Go;
            }
            // A name that is not UTF-8 must not hide a file: it is compared with signs in
            // the place of what cannot be shown.
            let shown = String::from_utf8_lossy(visit.path);
            let shown = shown.as_bytes();
            let anchored = pattern.is_none_or(|(pattern, _)| match pattern.is_match(shown) {
                Ok(yes) => yes,
                Err(message) => {
                    self.walk.trouble.error(message);
                    false
                }
            });
            if !anchored || !self.is(&self.matcher, shown) {
                return Act::Go;
            }
            let more = if self.whole {
                (self.behaviors.file_system == FileSystem::Local && !self.reachable(visit, None))
                    || emit(visit, true, sink, self.walk)
            } else {
                self.recurse(visit.path, (visit.info, None), device, sink)
            };
            if more { Act::Go } else { Act::Stop }
        })
    }

    /// From a directory that matches to the files that are meant.
    fn recurse(&self, from: &[u8], seen: Seen, start: Option<u64>, sink: Sink<'_>) -> bool {
        match (self.behaviors.direction, &self.name) {
            (Direction::None, None) => {
                let visit = Visit::direct(from, Info::Directory);
                emit(&visit, false, sink, self.walk)
            }
            (Direction::Up, _) => self.up(from, start, sink),
            _ => self.down(from, seen, start, sink),
        }
    }

    fn down(&self, from: &[u8], seen: Seen, start: Option<u64>, sink: Sink<'_>) -> bool {
        let Behaviors {
            max_depth,
            direction,
            links,
            directories,
            ..
        } = self.behaviors;
        self.walk.run(from, seen, &mut |visit| {
            let wanted = match &self.name {
                None => {
                    visit.info == Info::Directory
                        && max_depth.is_none_or(|depth| visit.level <= depth)
                }
                // What a followed link leads to was met as the link already.
                Some((_, name)) => {
                    visit.info != Info::Directory && !visit.followed && self.is(name, visit.name())
                }
            };
            if wanted && !emit(visit, self.name.is_some(), sink, self.walk) {
                return Act::Stop;
            }
            if visit.level > 0
                && (direction == Direction::None
                    || max_depth.is_some_and(|depth| visit.level > depth))
            {
                return Act::Skip;
            }
            match visit.info {
                Info::Directory => {
                    let kind = visit.level == 0 || directories || (links && visit.followed);
                    if kind && self.reachable(visit, start) {
                        Act::Go
                    } else {
                        Act::Skip
                    }
                }
                Info::Link if links => Act::Follow,
                _ => Act::Skip,
            }
        })
    }

    fn up(&self, from: &[u8], start: Option<u64>, sink: Sink<'_>) -> bool {
        let mut current = from;
        let mut depth = 0;
        while self.behaviors.max_depth.is_none_or(|limit| depth <= limit) {
            let seen = self.walk.look(current).unwrap_or((Info::Other, None));
            let more = self.walk.run(current, seen, &mut |visit| {
                if !self.reachable(visit, start) {
                    return Act::Skip;
                }
                let wanted = match &self.name {
                    None => visit.level == 0 && visit.info == Info::Directory,
                    Some((_, name)) => visit.info != Info::Directory && self.is(name, visit.name()),
                };
                if wanted && !emit(visit, self.name.is_some(), sink, self.walk) {
                    return Act::Stop;
                }
                if visit.level > 0 || self.name.is_none() {
                    Act::Skip
                } else {
                    Act::Go
                }
            });
            if !more {
                return false;
            }
            match parent(current) {
                Some(above) => current = above,
                None => return true,
            }
            depth += 1;
        }
        true
    }
}

/// The path above; None for the root.
fn parent(path: &[u8]) -> Option<&[u8]> {
    let end = path.iter().rposition(|byte| *byte != b'/')?;
    let path = path.get(..=end)?;
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(if slash == 0 {
        b"/"
    } else {
        path.get(..slash).unwrap_or(b"/")
    })
}

fn emit(visit: &Visit<'_>, named: bool, sink: Sink<'_>, walk: &Walk<'_>) -> bool {
    let found = if named {
        let directory = visit.path.get(..visit.name).unwrap_or_default();
        Found {
            directory: match directory {
                [start @ .., b'/'] if !start.is_empty() => start,
                other => other,
            },
            name: Some(visit.name()),
            whole: visit.path,
            info: visit.info,
            visit,
        }
    } else {
        Found {
            directory: visit.path,
            name: None,
            whole: visit.path,
            info: visit.info,
            visit,
        }
    };
    sink(&found, walk)
}

/// The items with what went wrong.
pub(super) fn finish(mut items: Vec<Item>, trouble: &Trouble) -> Collected {
    let incomplete = trouble.take_incomplete();
    if let Some(message) = trouble.take_error() {
        return Collected {
            flag: Flag::Error,
            items,
            message: Some(message),
        };
    }
    if incomplete.is_empty() {
        return Collected::complete(items);
    }
    let message = incomplete.join("; ");
    items.extend(incomplete.into_iter().map(Item::error));
    Collected::incomplete(items, message)
}

impl Cache {
    /// What a pattern of paths says about directories, worked out once.
    fn prefix(&self, pattern: &str) -> Arc<Prefix> {
        let mut prefixes = super::tree::lock(&self.prefixes);
        if let Some(known) = prefixes.get(pattern) {
            return Arc::clone(known);
        }
        let prefix = Arc::new(Prefix::new(pattern));
        if prefixes.len() >= crate::probe::MAX_PATTERNS {
            prefixes.clear();
        }
        prefixes.insert(pattern.into(), Arc::clone(&prefix));
        prefix
    }
}
