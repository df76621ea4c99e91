//! Rego sources made fit for the engine without changing what they mean to OPA.
//!
//! `regorus` differs from OPA in a few places, found by running Gatekeeper's public library on
//! both. Each is either rewritten here to the form that both read alike, or refused when the
//! template is loaded, so that nothing is evaluated wrongly in silence:
//!
//! | difference | what is done |
//! |---|---|
//! | `not f(x.y)` with `x.y` undefined succeeds; OPA evaluates arguments before the `not`, so the body fails | arguments are hoisted ([`hoist`]) |
//! | a function imported by name (`import data.lib.f`) is not found | called by its full path ([`calls`]) |
//! | `(` on a new line continues the expression before it | a `;` is put between ([`repair`]) |
//! | `rule[x] { } { }` is refused | the head is repeated ([`repair`]) |
//! | `sprintf` knows few verbs and counts its arguments | one of our own, as Go has it ([`builtins`]) |
//! | operators and `some … in` fail where OPA is undefined for a wrong type | calls of our own ([`operators`]) |
//! | a head that is undefined for one value ends the rule | what may be undefined is moved to the end of the body ([`heads`]) |
//! | a comprehension in a rule's head is not planned | the same |
//! | `p[x].r contains …` mixes up results; `p.q.r := …` and `p.q contains …` leave out empty parts | refused ([`heads`]) |
//! | `{"k": x} = y` matches more keys than `k` | refused ([`heads`]) |
//! | `if { a \| b }` is a body with a union; to OPA a comprehension | refused ([`repair`]) |
//! | `net.cidr_expand` makes a list | our own ([`builtins`]) |
//! | `net.cidr_is_valid`, `base64.is_valid` and `regex.is_valid` fail on what is no text; `urlquery.decode` takes any escape | our own ([`builtins`]) |
//! | sets are ordered before objects | comparisons, `sort`, `min`, `max` of our own ([`operators`], [`builtins`]) |
//! | `in` with an undefined operand is false | a call of our own ([`operators`]) |
//! | `strings.count`, `indexof_n`, `json.is_valid`, `numbers.range` differ or fall over | our own ([`builtins`]) |
//! | digests, HMACs, `io.jwt.decode`, CIDR functions, `external_data` are missing | our own ([`builtins`]) |
//! | deprecated built-ins (`re_match`, `any`, `all`, `cast_*`, `set_diff`) are missing | replaced or defined ([`calls`]) |
//! | `time.now_ns` reads the clock | reads the time that the caller gave ([`calls`]) |
//! | `with time.now_ns as` and the like | refused: the name is not called here ([`calls`]) |
//! | functions that call themselves use up the stack | refused ([`recursion`]) |
//! | `substring` takes fractions | our own ([`builtins`]) |
//! | built-ins that reach out, are random or are missing | refused ([`calls`]) |

pub(crate) mod builtins;
pub(crate) mod calls;
pub(crate) mod heads;
pub(crate) mod hoist;
pub(crate) mod join;
pub(crate) mod lexer;
pub(crate) mod operators;
pub(crate) mod recursion;
pub(crate) mod repair;
pub(crate) mod syntax;
pub(crate) mod typed;

/// Places within a Pod that a template's violations name, told from its source: a key
/// `"locus"` or `"container"` in an object, and texts such as `"container"` or `"volume:%s"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Loci {
    pub containers: bool,
    pub volumes: bool,
}

/// A module ready for the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its package, such as `lib.exempt`.
    pub package: String,
    pub source: String,
    pub v1: bool,
    /// Reads `data.inventory`.
    pub inventory: bool,
    /// What places within the object its violations name.
    pub loci: Loci,
    /// Objects of the inventory that it can look up in place of going through all.
    pub joins: Option<join::Joins>,
    /// Which of its rules names which.
    pub links: Vec<recursion::Link>,
}

/// Prepares one module; the error says why it cannot be run faithfully.
pub(crate) fn prepare(source: &str, v1: bool) -> Result<Module, String> {
    const MAX: usize = 1 << 20;
    if source.len() > MAX {
        return Err(format!("the source is larger than {MAX} bytes"));
    }
    let repaired = repair::repair(source)?;
    let tree = syntax::parse(&repaired, v1)?;
    let called = calls::rewrite(&repaired, &tree)?;
    let hoisted = hoist::rewrite(called, v1)?;
    let hoisted = operators::rewrite(hoisted, v1)?;
    let hoisted = heads::rewrite(hoisted, v1)?;
    let tree = syntax::parse(&hoisted, v1)?;
    let traits = syntax::traits(&tree, &hoisted);
    let text = syntax::Text::new(&hoisted)?;
    let links = recursion::links(&tree, &text, &traits.package);
    let joins = traits.inventory.then(|| join::find(&hoisted, &tree, v1));
    Ok(Module {
        joins: joins.flatten(),
        package: traits.package,
        v1,
        inventory: traits.inventory,
        loci: traits.loci,
        links,
        source: hoisted,
    })
}
