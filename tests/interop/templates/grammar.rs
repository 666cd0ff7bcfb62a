//! Templates, as many as are wanted: the same ones each time.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sealant::secret::SecretBytes;
use sealant::template::Items;

/// Items besides those of the vectors, for what those have not.
pub fn add_items(items: &mut Items) {
    let more: [(&str, &[u8]); 12] = [
        ("float", b"3.50"),
        ("octal", b"0755"),
        ("hex", b"0x1F"),
        ("words", b"Hello HTTPServer, foo_bar-baz 42times2 xY"),
        ("greek", "\u{391}\u{3c9} \u{df} \u{1c4} \u{130}x".as_bytes()),
        ("mixed", b"a\xffb \xc3\x28\xe2\x82 z"),
        ("control", b"\x00\x01\x1f\x7f\t\x0b"),
        ("version", b"v1.4"),
        ("path", b"/a//b/../c/./d.tar.gz"),
        ("address", b"https://u%20x:p@h.example:8443/a%2Fb/c?q=1&r=2#frag%20x"),
        ("duration", b"26h3m4.5s"),
        ("lines", b"one\r\n two\n\nthree"),
    ];
    for (key, value) in more {
        items.insert(key.to_owned(), SecretBytes::new(value.to_vec()));
    }
}

/// The template of this number.
pub fn template(number: u64) -> String {
    let mut maker = Maker { random: StdRng::seed_from_u64(number), variables: Vec::new(), ranges: 0 };
    maker.block(3)
}

struct Maker {
    random: StdRng,
    variables: Vec<String>,
    ranges: usize,
}

const KEYS: [&str; 24] = [
    "foo", "user", "password", "empty", "num", "neg", "list", "json", "b64", "uni", "html", "url", "camel",
    "snake", "sp", "multi", "bin", "semver", "float", "octal", "words", "greek", "mixed", "lines",
];

const TEXTS: [&str; 22] = [
    r#""""#,
    r#""a""#,
    r#""a,b,,c""#,
    r#""hello wide world""#,
    r#""42""#,
    r#""-1.50""#,
    r#"" x ""#,
    r#""\n""#,
    r#""\xff\x00""#,
    r#""日本 é""#,
    r#"`raw "x" \d`"#,
    r#""some_snake-case Text2go""#,
    r#""1.2.3-rc.1""#,
    r#"",""#,
    r#""aXbXc""#,
    r#""0x1f""#,
    r#""1e3""#,
    r#""true""#,
    r#""%d %s""#,
    r#""<&>'""#,
    r#""İSTANBUL ß ǆ""#,
    r#""/a/../b.c""#,
];

const PATTERNS: [&str; 14] = [
    r#""a""#,
    r#""[a-z]+""#,
    r#""^b.r$""#,
    r#""(\\w)(\\d?)""#,
    r#""\\s+""#,
    r#""""#,
    r#""[^[:alpha:]]""#,
    r#""(?i)HELLO|W""#,
    r#""a{1,2}""#,
    r#""[\\d_-]""#,
    r#""(?P<x>l+)""#,
    r#""\\bw""#,
    r#""(""#,
    r#""x*""#,
];

const VERBS: [&str; 34] = [
    "%v", "%s", "%d", "%q", "%x", "%X", "%5v", "%-5v|", "%05d", "%+d", "%.2f", "%8.3f", "%e", "%g", "%t",
    "%c", "%U", "%T", "%#v", "%+v", "%%", "%.1s", "% x", "%#x", "%b", "%o", "%O", "%z", "%", "%[2]v", "%*d",
    "%6.2v", "%#q", "%+q",
];

impl Maker {
    fn chance(&mut self, of: u32) -> bool {
        self.random.gen_ratio(1, of)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn block(&mut self, depth: usize) -> String {
        (0..self.random.gen_range(1..4)).map(|_| self.node(depth)).collect()
    }

    fn open(&mut self) -> &'static str {
        if self.chance(8) { "{{- " } else { "{{ " }
    }

    fn close(&mut self) -> &'static str {
        if self.chance(8) { " -}}" } else { " }}" }
    }

    fn action(&mut self, what: &str) -> String {
        format!("{}{what}{}", self.open(), self.close())
    }

    /// What is within declares no variable for what comes after.
    fn within(&mut self, make: impl FnOnce(&mut Self) -> String) -> String {
        let known = self.variables.len();
        let made = make(self);
        self.variables.truncate(known);
        made
    }

    fn node(&mut self, depth: usize) -> String {
        let kind = if depth == 0 { self.random.gen_range(0..60) } else { self.random.gen_range(0..100) };
        match kind {
            0..=14 => self
                .pick(&["x", " ", "\n  ", "a\n", "-", "{ }", "é", "{{/* a comment */}}", "{{- /* b */ -}} "])
                .to_owned(),
            15..=52 => {
                let value = self.pipeline(3);
                self.action(&value)
            }
            53..=59 => {
                let name = format!("$v{}", self.random.gen_range(0..4));
                let value = self.pipeline(2);
                let is_new = !self.variables.contains(&name) || self.chance(3);
                let sign = if is_new { ":=" } else { "=" };
                let made = self.action(&format!("{name} {sign} {value}"));
                self.variables.push(name);
                made
            }
            60..=72 => self.within(|it| {
                let condition = it.pipeline(2);
                let mut made = it.action(&format!("if {condition}"));
                made += &it.within(|it| it.block(depth - 1));
                if it.chance(3) {
                    let other = it.pipeline(2);
                    made += &it.action(&format!("else if {other}"));
                    made += &it.within(|it| it.block(depth - 1));
                }
                if it.chance(2) {
                    made += &it.action("else");
                    made += &it.block(depth - 1);
                }
                made + "{{ end }}"
            }),
            73..=80 => self.within(|it| {
                let value = it.pipeline(2);
                let head = if it.chance(3) {
                    it.variables.push("$w".to_owned());
                    format!("with $w := {value}")
                } else {
                    format!("with {value}")
                };
                let mut made = it.action(&head) + &it.within(|it| it.block(depth - 1));
                if it.chance(2) {
                    made += &(it.action("else") + &it.block(depth - 1));
                }
                made + "{{ end }}"
            }),
            81..=94 => self.within(|it| {
                let value = if it.chance(6) { it.odd(2) } else { it.list(2) };
                let head = match it.random.gen_range(0..3) {
                    0 => format!("range {value}"),
                    1 => format!("range $e := {value}"),
                    _ => format!("range $i, $e := {value}"),
                };
                if head.contains("$e") {
                    it.variables.push("$e".to_owned());
                }
                if head.contains("$i") {
                    it.variables.push("$i".to_owned());
                }
                it.ranges += 1;
                let mut made = it.action(&head) + &it.within(|it| it.block(depth - 1));
                if it.chance(4) {
                    let condition = it.bool(1);
                    let word = it.pick(&["break", "continue"]);
                    made += &format!("{{{{ if {condition} }}}}{{{{ {word} }}}}{{{{ end }}}}");
                    made += &it.within(|it| it.block(0));
                }
                it.ranges -= 1;
                if it.chance(3) {
                    made += &(it.action("else") + &it.block(depth - 1));
                }
                made + "{{ end }}"
            }),
            95..=97 => {
                let name = format!("T{}", self.random.gen_range(0..1000));
                let variables = std::mem::take(&mut self.variables);
                let body = self.block(depth - 1);
                self.variables = variables;
                let value = self.any(1);
                format!("{{{{ block \"{name}\" {value} }}}}{body}{{{{ end }}}}")
            }
            _ => self
                .pick(&["{{ end }}", "{{ else }}", "{{ template \"none\" }}", "{{ .foo.bar }}", "{{ nil }}"])
                .to_owned(),
        }
    }

    /// A value, now and then through a pipe.
    fn pipeline(&mut self, depth: usize) -> String {
        let value = self.any(depth);
        match self.random.gen_range(0..12) {
            0 => format!("{value} | quote"),
            1 => format!("{value} | default \"d\""),
            2 => format!("{} | upper | trunc 7", self.text(depth)),
            3 => format!("{value} | toJson"),
            4 => format!("{} | b64enc", self.text(depth)),
            5 => format!("{value} | printf {:?}", format!("<{}>", self.pick(&VERBS))),
            6 => format!("{} | toPrettyJson", self.dict(depth)),
            _ => value,
        }
    }

    fn any(&mut self, depth: usize) -> String {
        match self.random.gen_range(0..100) {
            0..=39 => self.text(depth),
            40..=54 => self.int(depth),
            55..=62 => self.number(depth),
            63..=70 => self.bool(depth),
            71..=83 => self.list(depth),
            84..=92 => self.dict(depth),
            93 => "nil".to_owned(),
            94 => ".missing".to_owned(),
            95 => "(index . \"missing\")".to_owned(),
            _ => match self.variables.choose(&mut self.random) {
                Some(variable) => variable.clone(),
                None => ".".to_owned(),
            },
        }
    }

    /// What is meant to be a text; sometimes it is something else.
    fn text(&mut self, depth: usize) -> String {
        if self.chance(40) {
            return self.any(depth.saturating_sub(1));
        }
        if depth == 0 || self.chance(4) {
            return match self.random.gen_range(0..3) {
                0 => format!("$.{}", self.pick(&KEYS)),
                _ => self.pick(&TEXTS).to_owned(),
            };
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..52) {
            0 => format!(
                "{} {}",
                self.pick(&["upper", "lower", "title", "untitle", "swapcase", "trim", "nospace", "initials"]),
                self.text(d)
            ),
            1 => format!("{} {}", self.pick(&["snakecase", "camelcase", "kebabcase"]), self.text(d)),
            2 => format!(
                "{} {}",
                self.pick(&[
                    "b64enc",
                    "b64dec",
                    "b32enc",
                    "b32dec",
                    "sha1sum",
                    "sha256sum",
                    "sha512sum",
                    "adler32sum"
                ]),
                self.text(d)
            ),
            3 => format!("repeat {} {}", self.small(d), self.text(d)),
            4 => format!("trunc {} {}", self.small(d), self.text(d)),
            5 => format!("substr {} {} {}", self.small(d), self.small(d), self.text(d)),
            6 => format!(
                "{} {} {}",
                self.pick(&["trimAll", "trimall", "trimPrefix", "trimSuffix"]),
                self.text(0),
                self.text(d)
            ),
            7 => format!("replace {} {} {}", self.text(0), self.text(0), self.text(d)),
            8 => format!("{} {} {}", self.pick(&["indent", "nindent"]), self.small(d), self.text(d)),
            9 => format!("{} {} {}", self.pick(&["quote", "squote", "cat"]), self.any(d), self.any(d)),
            10 => format!("wrap {} {}", self.small(d), self.text(d)),
            11 => format!("wrapWith {} {} {}", self.small(d), self.text(0), self.text(d)),
            12 => format!("abbrev {} {}", self.int(0), self.text(d)),
            13 => format!("abbrevboth {} {} {}", self.int(0), self.int(0), self.text(d)),
            14 => format!("join {} {}", self.text(0), self.list(d)),
            15 => format!("plural {} {} {}", self.text(d), self.text(d), self.int(d)),
            16 | 17 => {
                let verbs: String =
                    (0..self.random.gen_range(1..4)).map(|_| format!("{} ", self.pick(&VERBS))).collect();
                let values: Vec<String> = (0..self.random.gen_range(0..4)).map(|_| self.any(d)).collect();
                format!("printf {verbs:?} {}", values.join(" "))
            }
            18 => format!(
                "{} {} {}",
                self.pick(&["print", "println", "html", "js", "urlquery"]),
                self.any(d),
                self.any(d)
            ),
            19 => format!("{} {}", self.pick(&["html", "js", "urlquery"]), self.text(d)),
            20 => format!(
                "{} {}",
                self.pick(&["toJson", "toPrettyJson", "toRawJson", "mustToJson"]),
                self.any(d)
            ),
            21 => format!("toString {}", self.any(d)),
            22 => format!("{} {}", self.pick(&["typeOf", "kindOf"]), self.any(d)),
            23 => format!(
                "{} {} {}",
                self.pick(&["regexFind", "mustRegexFind"]),
                self.pick(&PATTERNS),
                self.valid()
            ),
            24 => format!(
                "{} {} {} {}",
                self.pick(&["regexReplaceAll", "mustRegexReplaceAll", "regexReplaceAllLiteral"]),
                self.pick(&PATTERNS),
                self.valid(),
                self.pick(&[r#""-""#, r#""$1""#, r#""${1}x$2""#, r#""$x""#, r#""${x}""#, r#""$$""#])
            ),
            25 => format!("regexQuoteMeta {}", self.text(d)),
            26 => {
                format!("{} {}", self.pick(&["base", "dir", "clean", "ext", "osBase", "osDir"]), self.text(d))
            }
            27 => format!("seq {} {}", self.small(d), self.small(d)),
            28 => format!("seq {} {} {}", self.small(d), self.small(d), self.small(d)),
            29 => format!("{} {}", self.pick(&["duration", "durationRound"]), self.any(d)),
            30 => format!("ternary {} {} ({})", self.text(d), self.any(d), self.bool(d)),
            31 => format!("default {} {}", self.text(d), self.any(d)),
            32 => format!("get {} {}", self.dict(d), self.text(0)),
            33 => format!("index $ {:?}", self.pick(&KEYS)),
            34 => format!(
                "urlJoin (dict \"scheme\" {} \"host\" {} \"path\" {} \"query\" {})",
                self.pick(&[r#""https""#, r#""""#]),
                self.text(0),
                self.text(d),
                self.text(0)
            ),
            35 => format!("index {} {}", self.list(d), self.small(0)),
            36 => format!("{} {}", self.pick(&["first", "last"]), self.list(d)),
            37 => format!("dig \"a\" \"b\" {} {}", self.text(0), self.dict(d)),
            38 => format!("coalesce {} {}", self.any(d), self.text(d)),
            39 => format!(
                "semver {}",
                self.pick(&[r#""1.2.3""#, r#""v2.0""#, r#""1.2.3-rc.1+b5""#, r#""01.2""#, r#""x""#])
            ),
            40 => format!("or {} {}", self.any(d), self.text(d)),
            41 => format!("and {} {}", self.any(d), self.text(d)),
            42 => format!(
                "urlParse {} | toJson",
                self.pick(&[
                    "$.url",
                    r#""https://u:p@h.x:80/a/b?c=d#e""#,
                    r#""mailto:a@b""#,
                    r#""//h/%41""#,
                    r#""/p?x""#,
                    r#""http://[::1]:8/""#,
                    r#""a:b""#,
                    r#""http://h:x/""#,
                    r#""https://u%20x:p@h/a%2Fb#f%20g""#
                ])
            ),
            _ => return format!("$.{}", self.pick(&KEYS)),
        };
        format!("({made})")
    }

    /// A text of UTF-8: any other is an error for regular expressions, and none there.
    fn valid(&mut self) -> String {
        match self.random.gen_range(0..3) {
            0 => self
                .pick(&["\"a,b,,c\"", "\"hello wide world\"", "\"aXbXc 42\"", "\"日本 é\"", "\"\""])
                .to_owned(),
            _ => format!(
                "$.{}",
                self.pick(&["foo", "user", "list", "json", "uni", "html", "words", "greek", "lines", "sp"])
            ),
        }
    }

    fn small(&mut self, depth: usize) -> String {
        if depth > 0 && self.chance(12) {
            return format!("(len {})", self.text(depth - 1));
        }
        self.pick(&["0", "1", "2", "3", "5", "8", "-1", "-3", "20"]).to_owned()
    }

    /// What is meant to be an int.
    fn int(&mut self, depth: usize) -> String {
        if depth == 0 || self.chance(3) {
            return self
                .pick(&["0", "1", "2", "7", "-4", "42", "0x1F", "1_000", "'a'", "1.0", "1e3", "0b11", "0o17"])
                .to_owned();
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..8) {
            0 => format!("len {}", self.any(d)),
            1 => format!("int {}", self.any(d)),
            2 => format!("atoi {}", self.text(d)),
            3 => format!("len {}", self.text(d)),
            4 => format!("int {}", self.number(d)),
            5 => format!("index {} 0", self.text(d)),
            6 => format!("toDecimal {}", self.any(d)),
            _ => format!("int64 {}", self.any(d)),
        };
        format!("({made})")
    }

    /// A number of any type.
    fn number(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self
                .pick(&[
                    "1",
                    "2.5",
                    "-3",
                    "0.1",
                    "1e21",
                    "1e-7",
                    "100000000",
                    "3.14159",
                    "0.000001",
                    "1.5e300",
                    "$.num",
                    "$.float",
                    "$.octal",
                    "$.neg",
                ])
                .to_owned();
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..12) {
            0 => format!(
                "{} {} {}",
                self.pick(&["add", "sub", "mul", "div", "mod"]),
                self.number(d),
                self.number(d)
            ),
            1 => format!(
                "{} {} {}",
                self.pick(&["addf", "subf", "mulf", "divf"]),
                self.number(d),
                self.number(d)
            ),
            2 => format!("{} {}", self.pick(&["add1", "add1f", "floor", "ceil"]), self.number(d)),
            3 => format!(
                "{} {} {} {}",
                self.pick(&["max", "min", "maxf", "minf", "biggest"]),
                self.number(d),
                self.number(d),
                self.number(d)
            ),
            4 => format!("round {} {}", self.number(d), self.pick(&["0", "1", "2", "5", "-1"])),
            5 => format!("float64 {}", self.any(d)),
            6 => format!("int64 {}", self.any(d)),
            7 => format!("add {} {} {}", self.int(d), self.any(d), self.number(d)),
            8 => format!("(semver \"3.4.5\").{}", self.pick(&["Major", "Minor", "Patch"])),
            9 => format!(
                "fromJson {}",
                self.pick(&[r#""1.50""#, r#""1e400""#, r#""-0""#, r#""12345678901234567890""#])
            ),
            _ => return self.int(d),
        };
        format!("({made})")
    }

    fn bool(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.pick(&["true", "false"]).to_owned();
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..16) {
            0 => format!(
                "{} {} {}",
                self.pick(&["eq", "ne", "lt", "le", "gt", "ge"]),
                self.text(d),
                self.text(d)
            ),
            1 => format!(
                "{} {} {}",
                self.pick(&["eq", "ne", "lt", "le", "gt", "ge"]),
                self.int(d),
                self.int(d)
            ),
            2 => format!("{} {} {}", self.pick(&["eq", "ne", "lt"]), self.any(d), self.any(d)),
            3 => format!("eq {} {} {}", self.text(d), self.text(0), self.text(0)),
            4 => format!("not {}", self.any(d)),
            5 => format!("{} {} {}", self.pick(&["and", "or"]), self.bool(d), self.bool(d)),
            6 => format!("empty {}", self.any(d)),
            7 => format!("{} {} {}", self.pick(&["all", "any"]), self.any(d), self.any(d)),
            8 => format!(
                "{} {} {}",
                self.pick(&["contains", "hasPrefix", "hasSuffix"]),
                self.text(0),
                self.text(d)
            ),
            9 => format!("has {} {}", self.any(d), self.list(d)),
            10 => format!("hasKey {} {}", self.dict(d), self.text(0)),
            11 => format!(
                "{} {} {}",
                self.pick(&["regexMatch", "mustRegexMatch"]),
                self.pick(&PATTERNS),
                self.valid()
            ),
            12 => format!("deepEqual {} {}", self.any(d), self.any(d)),
            13 => format!(
                "{} {} {}",
                self.pick(&["kindIs", "typeIs", "typeIsLike"]),
                self.pick(&[r#""string""#, r#""int""#, r#""map""#, r#""float64""#, r#""slice""#]),
                self.any(d)
            ),
            14 => format!(
                "semverCompare {} {}",
                self.pick(&[
                    r#"">=1.2""#,
                    r#""^1""#,
                    r#""~1.2.3""#,
                    r#""1.x || >2""#,
                    r#""1.2 - 2""#,
                    r#""!=1.2.3""#,
                    r#""<2, >1""#,
                    r#""*""#,
                    r#"">1.2-0""#
                ]),
                self.pick(&[
                    r#""1.2.3""#,
                    r#""2.0.0""#,
                    r#""1.2.3-rc.1""#,
                    r#""0.1""#,
                    r#""1.9""#,
                    r#""v1""#
                ])
            ),
            _ => format!("isAbs {}", self.text(d)),
        };
        format!("({made})")
    }

    fn list(&mut self, depth: usize) -> String {
        if self.chance(30) {
            return self.odd(depth.saturating_sub(1));
        }
        if depth == 0 {
            return self
                .pick(&[
                    "(list)",
                    "(list 1 2 3)",
                    "(list \"c\" \"a\" \"b\" \"a\")",
                    "(list nil 1 \"\")",
                    "(until 4)",
                    "(splitList \",\" $.list)",
                    "(tuple 1.5 true)",
                    "(concat)",
                    "(list (list 1 2) (list))",
                ])
                .to_owned();
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..20) {
            0 => format!("list {} {}", self.any(d), self.any(d)),
            1 => format!("{} {} {}", self.pick(&["append", "prepend", "push"]), self.list(d), self.any(d)),
            2 => format!(
                "{} {}",
                self.pick(&["rest", "initial", "reverse", "uniq", "compact", "mustRest"]),
                self.list(d)
            ),
            3 => format!("without {} {}", self.list(d), self.any(d)),
            4 => format!("concat {} {}", self.list(d), self.list(d)),
            5 => format!("slice {} {} {}", self.list(d), self.pick(&["0", "1"]), self.pick(&["1", "2"])),
            6 => format!("slice {}", self.list(d)),
            7 => format!("chunk {} {}", self.pick(&["1", "2", "3"]), self.list(d)),
            8 => format!("splitList {} {}", self.text(0), self.text(d)),
            9 => format!("sortAlpha {}", self.list(d)),
            10 => format!("toStrings {}", self.any(d)),
            11 => format!("untilStep {} {} {}", self.small(0), self.small(0), self.small(0)),
            12 => format!("until {}", self.small(d)),
            13 => format!("keys {} | sortAlpha", self.dict(d)),
            14 => format!("pluck {} {} {}", self.pick(&["\"a\"", "\"b\""]), self.dict(d), self.dict(d)),
            15 => format!(
                "regexFindAll {} {} {}",
                self.pick(&PATTERNS),
                self.valid(),
                self.pick(&["-1", "0", "1", "2"])
            ),
            16 => format!(
                "regexSplit {} {} {}",
                self.pick(&PATTERNS),
                self.valid(),
                self.pick(&["-1", "0", "1", "2"])
            ),
            17 => format!(
                "fromJson {}",
                self.pick(&[r#""[1, \"a\", null, [true]]""#, r#""[]""#, r#""[1e400, 2]""#, r#""[1,]""#])
            ),
            18 => format!("deepCopy {}", self.list(d)),
            _ => return self.list(d),
        };
        format!("({made})")
    }

    /// Anything but a number, which would be ranged over up to its end; lists only if they are small.
    fn odd(&mut self, depth: usize) -> String {
        match self.random.gen_range(0..5) {
            0 => self.text(depth),
            1 => self.bool(depth),
            2 => self.dict(depth),
            3 => self.small(0),
            _ => self.pick(&["nil", ".missing", "."]).to_owned(),
        }
    }

    fn dict(&mut self, depth: usize) -> String {
        if depth == 0 || self.chance(4) {
            return self
                .pick(&[
                    "(dict)",
                    "(dict \"a\" 1)",
                    "(dict \"a\" (dict \"b\" 2 \"c\" \"\") \"b\" \"x\")",
                    "(dict \"b\" (list 1) \"a\" nil)",
                    "(fromJson $.json)",
                    "(dict 1 2 \"z\")",
                ])
                .to_owned();
        }
        let d = depth - 1;
        let made = match self.random.gen_range(0..14) {
            0 => format!("dict {} {} \"a\" {}", self.text(0), self.any(d), self.any(d)),
            1 => format!("set {} \"a\" {}", self.dict(d), self.any(d)),
            2 => format!("unset {} \"a\"", self.dict(d)),
            3 => format!("pick {} \"a\" {}", self.dict(d), self.text(0)),
            4 => format!("omit {} \"a\" {}", self.dict(d), self.text(0)),
            5 | 6 => format!(
                "{} {} {}",
                self.pick(&["merge", "mustMerge", "mergeOverwrite"]),
                self.dict(d),
                self.dict(d)
            ),
            7 => format!("split {} {}", self.text(0), self.text(d)),
            8 => format!("splitn {} {} {}", self.text(0), self.small(0), self.text(d)),
            9 => format!("deepCopy {}", self.dict(d)),
            10 => format!(
                "fromJson {}",
                self.pick(&[
                    r#""{\"a\":{\"b\":[1]},\"c\":\"\\ud83d\\ude00\\ud800\"}""#,
                    r#""{}""#,
                    r#""{\"a\":1,\"a\":2}""#,
                    r#""{bad""#
                ])
            ),
            11 => ".".to_owned(),
            12 => format!("dict \"k\" {}", self.list(d)),
            _ => return self.dict(d),
        };
        format!("({made})")
    }
}
