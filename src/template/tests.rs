//! What needs no other program: bounds, secrecy, and what is left out on purpose. The real packages are beside it in
//! `tests/interop/templates`.

use super::*;

const MARKER: &str = "TOPSECRET";

fn items() -> Items {
    [("p", MARKER), ("n", "7"), ("json", r#"{"a": [1, "TOPSECRET"]}"#)]
        .map(|(name, value)| (name.to_owned(), SecretBytes::new(value.as_bytes().to_vec())))
        .into()
}

fn render(text: &str) -> Result<String> {
    let made = Template::parse("k", text)?.render(&items())?;
    Ok(String::from_utf8_lossy(&made).into_owned())
}

#[test]
fn a_template_makes_a_text() {
    for (text, expected) in [
        ("", ""),
        ("a {{- .p -}} b", "aTOPSECRETb"),
        ("{{ .p | lower | trunc 3 | quote }} {{ .missing }}", "\"top\" <no value>"),
        ("{{ range $i, $c := splitList \"S\" .p }}{{ $i }}{{ $c }}{{ end }}", "0TOP1ECRET"),
        ("{{ with $x := fromJson .json }}{{ index $x.a 1 }}{{ end }}", MARKER),
        ("{{ define \"t\" }}<{{ . }}>{{ end }}{{ template \"t\" .n }}", "<7>"),
        ("{{ printf \"%05d|%v|%s\" (atoi .n) 1.0 nil }}", "00007|1|%!s(<nil>)"),
    ] {
        assert_eq!(render(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn what_would_change_by_itself_or_reads_anything_else_is_refused_by_name() {
    for (function, why) in [
        ("now", "clock"),
        ("date \"2006\" .", "clock"),
        ("randAlphaNum 8", "random"),
        ("htpasswd \"a\" \"b\"", "random"),
        ("bcrypt \"a\"", "random"),
        ("uuidv4", "random"),
        ("env \"HOME\"", "nothing but the items"),
        ("getHostByName \"db\"", "nothing but the items"),
        ("lookup \"v1\" \"Secret\" \"\" \"\"", "nothing but the items"),
        ("genPrivateKey \"rsa\"", "no keys"),
        ("derivePassword 1 \"long\" \"a\" \"b\" \"c\"", "no keys"),
        ("encryptAES \"a\" \"b\"", "no keys"),
        ("call .p", "no functions"),
    ] {
        let error = render(&format!("{{{{ {function} }}}}")).unwrap_err();
        let name = function.split(' ').next().unwrap();
        assert_eq!(error.kind(), ErrorKind::RefusedFunction, "{error}");
        assert!(error.message().contains(&format!("`{name}`")) && error.message().contains(why), "{error}");
    }
    let error = render("{{ tpl .p . }}").unwrap_err();
    assert!(error.message().contains("one of Helm's"), "{error}");
    assert_eq!(render("{{ nosuch 1 }}").unwrap_err().kind(), ErrorKind::UnknownFunction);
}

#[test]
fn an_error_says_where() {
    for (text, line, column) in [
        ("{{ .p", 1, 1),
        ("a\n\n  é{{ if .p }}x", 3, 16),
        ("a\nb {{ upper .missing }}", 2, 12),
        ("{{ .p.q }}", 1, 4),
        ("x\n{{ \"a\" | upper | div 1 0 }}", 2, 18),
        ("{{ end }}", 1, 4),
        ("{{ .a-b }}", 1, 4),
    ] {
        let error = render(text).unwrap_err();
        assert_eq!((error.line(), error.column()), (line, column), "{text}: {error}");
    }
}

/// Each way to fail that has a value at hand.
#[test]
fn an_error_never_says_a_value() {
    for text in [
        "{{ fail .p }}",
        "{{ .p.q }}",
        "{{ mustRegexMatch (print \"(\" .p) \"x\" }}",
        "{{ regexFind (print \"[\" .p) \"x\" }}",
        "{{ mustFromJson .p }}",
        "{{ urlParse (print \"http://\" .p \":x/%\") }}",
        "{{ semver .p }}",
        "{{ semverCompare .p \"1\" }}",
        "{{ index . .p .p }}",
        "{{ index (list 1) .p }}",
        "{{ eq .p 1 }}",
        "{{ repeat .p .p }}",
        "{{ dig .p .p .p }}",
        "{{ range .p }}{{ end }}",
        "{{ append .p .p }}",
        "{{ slice .p 1 }}",
        "{{ chunk 0 (list .p) }}",
        "{{ $x := dict .p .p }}{{ urlJoin (dict \"host\" $x) }}",
        "{{ printf \"%p\" (list .p) }}",
        "{{ template \"TOP\" .p }}",
        "{{ .p | .n }}",
        "{{ ternary .p .p .p }}",
        "{{ set . .p .p }}",
        "{{ repeat 9999999 .p }}",
    ] {
        let template = Template::parse("k", text).unwrap();
        let error = template.render(&items()).unwrap_err();
        let said = format!("{error} {error:?} {template:?}");
        assert!(!said.contains(MARKER), "{text}: {said}");
    }
}

/// Each of them would take all time or memory that there is.
#[test]
fn a_hostile_template_ends() {
    let nested = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
    let blocks = format!("{}{}", "{{ if true }}".repeat(5000), "{{ end }}".repeat(5000));
    let chain = format!("{{{{ if .x }}}}{}{{{{ end }}}}", "{{ else if .x }}".repeat(5000));
    let deep = format!("{{{{ fromJson `{}` }}}}", "[".repeat(5000));
    for text in [
        "{{ define \"k2\" }}{{ template \"k2\" }}{{ end }}{{ template \"k2\" }}",
        "{{ template \"k\" . }}",
        "{{ range 9223372036854775807 }}{{ end }}",
        "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}",
        "{{ until 9223372036854775807 }}",
        "{{ untilStep 0 9223372036854775807 1 }}",
        "{{ seq 0 9223372036854775807 }}",
        "{{ repeat 9223372036854775807 \"x\" }}",
        "{{ indent 9223372036854775807 \"x\" }}",
        "{{ printf \"%1000000d\" 1 }}{{ printf \"%9000000d\" 1 }}",
        "{{ printf \"%.1000000f\" 1.0 }}",
        "{{ $x := \"x\" }}{{ range until 100 }}{{ $x = print $x $x }}{{ end }}",
        "{{ $x := \"x\" }}{{ range until 100 }}{{ $x = replace \"\" $x $x }}{{ end }}",
        "{{ $x := list }}{{ range until 100 }}{{ $x = list $x $x }}{{ end }}{{ $x }}",
        "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ toJson $x }}",
        "{{ $x := list 1 }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ deepEqual $x (deepCopy $x) }}",
        "{{ $x := list 1 }}{{ range until 100 }}{{ $x = concat $x $x }}{{ end }}",
        "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ $x }}",
        "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ toJson $x }}",
        "{{ $x := dict }}{{ $_ := set $x \"x\" $x }}{{ deepCopy $x }}",
        "{{ range until 1000 }}{{ regexMatch (print \"(a{1000}){1000}\" .) \"x\" }}{{ end }}",
        "{{ range until 1000 }}{{ $_ := regexMatch (print \"x{1000}\" .) \"x\" }}{{ end }}",
        "{{ regexMatch \"((\\\\pL{50}){50}){50}\" \"x\" }}",
        "{{ $x := repeat 1000000 \"a\" }}{{ regexReplaceAll \"a\" $x $x }}",
        "{{ range until 100000 }}{{ $_ := divf 1e300 1e-300 }}{{ end }}{{ template \"k\" }}",
        nested.as_str(),
        blocks.as_str(),
        chain.as_str(),
        deep.as_str(),
    ] {
        let error = render(text).map(|made| made.len()).unwrap_err();
        let short: String = text.chars().take(90).collect();
        assert_eq!(error.kind(), ErrorKind::Bound, "{short}: {error}");
    }
    // A long chain of dicts, and one in a circle, are taken apart without a stack that grows with them.
    let chain = "{{ $a := dict }}{{ $b := $a }}{{ range until 50000 }}{{ $c := dict }}{{ $_ := set $b \"x\" $c }}\
                 {{ $b = $c }}{{ end }}{{ $_ := set $b \"x\" $a }}ok";
    assert_eq!(render(chain).unwrap(), "ok");
    assert_eq!(Template::parse("k", &"x".repeat(MAX_LENGTH + 1)).unwrap_err().kind(), ErrorKind::Bound);
}

#[test]
fn complex_numbers_are_no_numbers_here() {
    for text in ["{{ 1i }}", "{{ 1+2i }}"] {
        assert!(render(text).unwrap_err().message().contains("complex"), "{text}");
    }
}

#[test]
fn templates_of_an_object_see_its_items_and_each_other_and_make_items() {
    let templates = |texts: &[(&str, Option<&str>)]| -> Templates {
        texts.iter().map(|(item, text)| ((*item).to_owned(), text.map(str::to_owned))).collect()
    };
    let texts = [
        ("url", Some("{{ .user }}:{{ .p }}")),
        ("user", Some("{{ \"ann\" }}")),
        ("n", Some("the item stays")),
        ("json", None),
        ("none", None),
    ];
    let made = render_all(&templates(&texts), items()).unwrap();
    let made: BTreeMap<_, _> = made
        .iter()
        .map(|(item, value)| (item.as_str(), String::from_utf8_lossy(value).into_owned()))
        .collect();
    let expected = [("n", "7"), ("p", MARKER), ("url", "{{ \"ann\" }}:TOPSECRET"), ("user", "ann")];
    assert_eq!(made, expected.map(|(item, value)| (item, value.to_owned())).into());
    assert_eq!(render_all(&Templates::new(), items()).unwrap(), items());

    let wrong =
        templates(&[("a", Some("{{ now }}")), ("b", Some("{{ now }}")), ("c", Some("{{ .p")), ("d", None)]);
    let refused = check(&wrong).unwrap_err();
    assert_eq!(refused.0.len(), 2);
    assert!(
        refused.to_string().contains("`now`") && refused.to_string().contains("(a, b); template, line 1")
    );
    assert!(render_all(&templates(&[("a", Some("{{ fail .p }}"))]), items()).is_err());
    // What one may cost, all of them may.
    let many: Vec<_> = (0..100).map(|index| index.to_string()).collect();
    let many = many.iter().map(|item| (item.as_str(), Some("{{ range until 5000 }}{{ $x := 1 }}{{ end }}")));
    let refused = render_all(&templates(&many.collect::<Vec<_>>()), items()).unwrap_err();
    assert_eq!(refused.0[0].0.kind(), ErrorKind::Bound);
}

#[test]
fn characters_are_mapped_as_go_maps_them() {
    assert_eq!(
        render("{{ upper \"straße ŉ ᾳ ǆ\" }} {{ lower \"İ\" }} {{ title \"ǆ ა\" }}").unwrap(),
        "STRAßE ŉ ᾼ Ǆ i ǅ ა"
    );
    assert_eq!(render("{{ quote \"\\u200b\\u00a0é\" }}").unwrap(), "\"\\u200b\\u00a0é\"");
}
