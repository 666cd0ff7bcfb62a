//! Versions and what is asked of them, as `Masterminds/semver` has them: looser than semver itself.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;
use std::sync::LazyLock;

use regex::Regex;

use super::super::error::Fault;
use super::super::run::Run;
use super::super::value::Value;
use super::{Function, Result, Text, takes, text};
use crate::secret::SecretString;

pub const TABLE: &[Function] = &[
    takes("semver", &[Text], |run, values| {
        run.steps(text(values, 0).len())?;
        let version = Version::parse(text(values, 0)).ok_or(BAD_VERSION)?;
        Ok(Value::Version(Rc::new(version)))
    }),
    takes("semverCompare", &[Text, Text], |run, values| {
        run.steps(text(values, 0).len().saturating_add(text(values, 1).len()))?;
        let wanted = Constraints::parse(text(values, 0)).ok_or(BAD_CONSTRAINT)?;
        let version = Version::parse(text(values, 1)).ok_or(BAD_VERSION)?;
        Ok(Value::Bool(wanted.fit(&version)))
    }),
];

const BAD_VERSION: Fault = Fault::value("got a text that is not a version");
const BAD_CONSTRAINT: Fault = Fault::value("got a text that is not a range of versions");

const REST: &str = r"(-([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?(\+([0-9A-Za-z\-]+(\.[0-9A-Za-z\-]+)*))?";
const ASKED: &str = r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?";
const OPERATORS: &str = r"=||!=|>|<|>=|=>|<=|=<|~|~>|\^";

fn regex(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static VERSION: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(&format!(r"^v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?{REST}$")));
static CONSTRAINT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(&format!(r"^[\t\n\x0c\r ]*({OPERATORS})[\t\n\x0c\r ]*({ASKED}{REST})[\t\n\x0c\r ]*$"))
});
static RANGE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex(&format!(
        r"[\t\n\x0c\r ]*({ASKED}{REST})[\t\n\x0c\r ]+-[\t\n\x0c\r ]+({ASKED}{REST})[\t\n\x0c\r ]*"
    ))
});
static EACH: LazyLock<Option<Regex>> =
    LazyLock::new(|| regex(&format!(r"({OPERATORS})[\t\n\x0c\r ]*({ASKED}{REST})")));
static ALL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let space = r"[\t\n\x0c\r ]";
    let one = format!("({OPERATORS}){space}*({ASKED}{REST}){space}*");
    regex(&format!(r"^({space}*{one})((?:{space}+|,{space}*){one})*$"))
});

/// A version. It may be a secret's text, so it has no `Debug`.
#[derive(PartialEq)]
pub struct Version {
    major: u64,
    minor: u64,
    patch: u64,
    pre: SecretString,
    metadata: SecretString,
    original: SecretString,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?;
        if !self.pre.is_empty() {
            write!(f, "-{}", self.pre.as_str())?;
        }
        if !self.metadata.is_empty() {
            write!(f, "+{}", self.metadata.as_str())?;
        }
        Ok(())
    }
}

impl Version {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let found = VERSION.as_ref()?.captures(text)?;
        let group = |index: usize| found.get(index).map_or("", |group| group.as_str());
        let number = |index: usize| match group(index).trim_start_matches('.') {
            "" => Some(0),
            digits => digits.parse().ok(),
        };
        let is_zero_first = |part: &str| {
            part.len() > 1 && part.starts_with('0') && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if group(5).split('.').any(is_zero_first) {
            return None;
        }
        Some(Self {
            major: number(1)?,
            minor: number(2)?,
            patch: number(3)?,
            pre: SecretString::new(group(5).to_owned()),
            metadata: SecretString::new(group(8).to_owned()),
            original: SecretString::new(text.to_owned()),
        })
    }

    fn compare(&self, other: &Self) -> Ordering {
        let numbers = |version: &Self| (version.major, version.minor, version.patch);
        numbers(self).cmp(&numbers(other)).then_with(|| match (self.pre.is_empty(), other.pre.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => compare_pre(&self.pre, &other.pre),
        })
    }
}

/// Part by part; `""` for a missing one.
fn compare_pre(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (a, b) => compare_part(a.unwrap_or_default(), b.unwrap_or_default()),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    if a == b || a.is_empty() || b.is_empty() {
        return a.is_empty().cmp(&b.is_empty()).reverse();
    }
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    match (number(a), number(b)) {
        (None, None) => a.cmp(b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(a), Some(b)) => {
            if a > b {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
    }
}

/// A method of a version.
pub fn method(run: &mut Run, version: &Rc<Version>, name: &str, values: &[Value]) -> Result {
    let other = || match values {
        [Value::Version(other)] => Ok(version.compare(other)),
        _ => Err(Fault::value("got a value that is not a version")),
    };
    let is = |fits: bool| Ok(Value::Bool(fits));
    match name {
        "Compare" => return Ok(Value::Int(i64::from(other()? as i8))),
        "Equal" => return is(other()? == Ordering::Equal),
        "LessThan" => return is(other()? == Ordering::Less),
        "LessThanEqual" => return is(other()? != Ordering::Greater),
        "GreaterThan" => return is(other()? == Ordering::Greater),
        "GreaterThanEqual" => return is(other()? != Ordering::Less),
        _ => {}
    }
    if !values.is_empty() {
        return Err(Fault::value("takes no arguments, or is not a method of a version here"));
    }
    match name {
        "Major" => Ok(Value::Uint64(version.major)),
        "Minor" => Ok(Value::Uint64(version.minor)),
        "Patch" => Ok(Value::Uint64(version.patch)),
        "Prerelease" => run.copy(version.pre.as_bytes()),
        "Metadata" => run.copy(version.metadata.as_bytes()),
        "Original" => run.copy(version.original.as_bytes()),
        "String" => run.copy(version.to_string().as_bytes()),
        _ => Err(Fault::value("is not a method of a version here")),
    }
}

/// One thing that a version is asked for.
struct Constraint {
    operator: String,
    wanted: Version,
    /// Which parts of it were left open.
    is_dirty: bool,
    is_minor_open: bool,
    is_patch_open: bool,
}

/// One of these must fit, all of it.
struct Constraints(Vec<Vec<Constraint>>);

impl Constraints {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = with_ranges_as_bounds(std::str::from_utf8(text).ok()?)?;
        let mut found = Vec::new();
        for part in text.split("||") {
            if !ALL.as_ref()?.is_match(part) {
                return None;
            }
            let each: Vec<_> = EACH.as_ref()?.find_iter(part).map(|each| each.as_str()).collect();
            found.push(each.into_iter().map(Constraint::parse).collect::<Option<_>>()?);
        }
        Some(Self(found))
    }

    fn fit(&self, version: &Version) -> bool {
        self.0.iter().any(|all| {
            let takes_pre = all.iter().any(|constraint| !constraint.wanted.pre.is_empty());
            (version.pre.is_empty() || takes_pre) && all.iter().all(|constraint| constraint.fits(version))
        })
    }
}

/// `1 - 2` as `>= 1, <= 2`.
fn with_ranges_as_bounds(text: &str) -> Option<String> {
    let mut found = text.to_owned();
    for range in RANGE.as_ref()?.captures_iter(text) {
        let group = |index: usize| range.get(index).map_or("", |group| group.as_str());
        let bounds = format!(">= {}, <= {} ", group(1), group(11));
        found = found.replacen(group(0), &bounds, 1);
    }
    Some(found)
}

impl Constraint {
    fn parse(text: &str) -> Option<Self> {
        let found = CONSTRAINT.as_ref()?.captures(text)?;
        let group = |index: usize| found.get(index).map_or("", |group| group.as_str());
        let is_open = |index: usize| matches!(group(index).trim_start_matches('.'), "" | "x" | "X" | "*");
        let (major, minor, pre) = (group(3), group(4), group(6));
        let (mut is_minor_open, mut is_patch_open) = (false, false);
        let mut is_dirty = true;
        let version = if is_open(3) {
            format!("0.0.0{pre}")
        } else if is_open(4) {
            is_minor_open = true;
            format!("{major}.0.0{pre}")
        } else if is_open(5) {
            is_patch_open = true;
            format!("{major}{minor}.0{pre}")
        } else {
            is_dirty = false;
            group(2).to_owned()
        };
        let wanted = Version::parse(version.as_bytes())?;
        Some(Self { operator: group(1).to_owned(), wanted, is_dirty, is_minor_open, is_patch_open })
    }

    fn fits(&self, version: &Version) -> bool {
        let wanted = &self.wanted;
        let order = version.compare(wanted);
        match self.operator.as_str() {
            "!=" => self.differs(version),
            ">" if !self.is_dirty || version.major != wanted.major => {
                if self.is_dirty {
                    version.major > wanted.major
                } else {
                    order == Ordering::Greater
                }
            }
            ">" if self.is_minor_open => false,
            ">" if self.is_patch_open => version.minor > wanted.minor,
            ">" => order == Ordering::Greater,
            "<" => order == Ordering::Less,
            ">=" | "=>" => order != Ordering::Less,
            "<=" | "=<" if !self.is_dirty => order != Ordering::Greater,
            "<=" | "=<" => {
                let is_above = version.major == wanted.major && version.minor > wanted.minor;
                version.major <= wanted.major && (!is_above || self.is_minor_open)
            }
            "~" | "~>" => self.is_near(version),
            "^" => self.is_compatible(version),
            _ if self.is_dirty => self.is_near(version),
            _ => order == Ordering::Equal,
        }
    }

    fn differs(&self, version: &Version) -> bool {
        let wanted = &self.wanted;
        if !self.is_dirty {
            return version.compare(wanted) != Ordering::Equal;
        }
        if wanted.major != version.major {
            return true;
        }
        if wanted.minor != version.minor && !self.is_minor_open {
            return true;
        }
        if self.is_minor_open {
            return false;
        }
        if self.is_patch_open {
            let has_pre = !version.pre.is_empty() || !wanted.pre.is_empty();
            return has_pre && compare_pre(&version.pre, &wanted.pre) != Ordering::Equal;
        }
        wanted.patch != version.patch || version.compare(wanted) != Ordering::Equal
    }

    /// `~`
    fn is_near(&self, version: &Version) -> bool {
        let wanted = &self.wanted;
        if version.compare(wanted) == Ordering::Less {
            return false;
        }
        let is_zero = (wanted.major, wanted.minor, wanted.patch) == (0, 0, 0);
        if is_zero && !self.is_minor_open && !self.is_patch_open {
            return true;
        }
        version.major == wanted.major && (version.minor == wanted.minor || self.is_minor_open)
    }

    /// `^`
    fn is_compatible(&self, version: &Version) -> bool {
        let wanted = &self.wanted;
        if version.compare(wanted) == Ordering::Less {
            return false;
        }
        if wanted.major > 0 || self.is_minor_open {
            return version.major == wanted.major;
        }
        if version.major > 0 {
            return false;
        }
        if wanted.minor > 0 || self.is_patch_open {
            return version.minor == wanted.minor;
        }
        version.minor == 0 && version.patch == wanted.patch
    }
}
