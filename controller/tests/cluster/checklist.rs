//! The checklist for controllers of sealed Secrets, and what shows each case here: C1 to C26 are the cases of the suite of
//! sealed-secrets, A1 to A15 what its users have missed in it, K1 to K13 the cases of the suite of kubeseal, and B1 to B12 what
//! somebody relies on who puts another controller into its place.

use std::collections::BTreeMap;
use std::path::Path;

/// Tests by their names, and where it is otherwise on purpose, why.
struct Shown {
    case: &'static str,
    by: &'static [&'static str],
    otherwise: &'static str,
}

const fn shown(case: &'static str, by: &'static [&'static str]) -> Shown {
    Shown { case, by, otherwise: "" }
}

const MADE: &str = "their_objects_are_made_changed_and_kept_as_their_suite_has_it";
const GIVEN: &str = "what_others_have_is_theirs_or_given_as_their_suite_has_it";
const MOVED: &str = "what_was_not_sealed_for_here_does_not_open_as_their_suite_has_it";
const TAKEN_OVER: &str = "a_cluster_of_sealed_secrets_is_taken_over_without_a_write_and_given_back";

const COMMANDS: &str = "the_same_command_line_does_the_same";
const SEALED: &str = "each_opens_what_the_other_has_sealed";
const ASKED: &str = "both_command_lines_ask_the_controller_alike";
const SAID: &str = "what_does_not_open_is_said_in_their_words_and_the_secret_stays";

const CASES: &[Shown] = &[
    // Created: data, labels, status and event.
    shown("C1", &["a_sealed_secret_becomes_a_secret", MADE]),
    // Updated: data, observedGeneration and times.
    shown("C2", &["what_changes_is_followed_and_what_goes_is_gone", MADE]),
    // An item is renamed, and one is added.
    shown("C3", &["what_changes_is_followed_and_what_goes_is_gone", MADE]),
    shown("C4", &["what_changes_is_followed_and_what_goes_is_gone", MADE]),
    // A Secret of somebody else with `managed`, with `patch`, with both, and without data.
    shown("C5", &[GIVEN, TAKEN_OVER]),
    shown("C6", &[GIVEN]),
    shown("C7", &[GIVEN, TAKEN_OVER]),
    shown("C8", &[GIVEN]),
    // An owned Secret is deleted, and a managed one.
    shown("C9", &["a_secret_that_somebody_changes_is_repaired", GIVEN]),
    shown("C10", &[GIVEN]),
    // A Secret is deleted that is not managed, and one that was patched.
    Shown {
        case: "C11",
        by: &[GIVEN, "a_secret_of_somebody_else_is_left_alone_unless_it_asks_to_be_adopted"],
        otherwise: "the Secret that was in the way is gone, so that of the SealedSecret is made: A3",
    },
    Shown { case: "C12", by: &[GIVEN], otherwise: "the same" },
    // Another key.
    shown("C13", &[MOVED]),
    shown("C14", &[MOVED]),
    shown("C15", &["a_sealed_secret_becomes_a_secret", MADE]),
    // Immutable, and changed then.
    shown("C16", &[MADE]),
    shown("C17", &[MADE]),
    // Another name, another namespace, by scope.
    shown("C18", &[MOVED]),
    shown("C19", &[MOVED]),
    shown("C20", &[MOVED]),
    shown("C21", &[MOVED]),
    shown("C22", &[MOVED]),
    shown("C23", &[MOVED]),
    shown("C24", &[MOVED]),
    shown("C25", &[MOVED]),
    Shown {
        case: "C26",
        by: &["it_tells_its_version_and_its_flags"],
        otherwise: "the version is that of Sealant, as `sealant-controller VERSION`",
    },
    // What has failed heals by itself.
    shown(
        "A1",
        &["it_outlives_every_outage_of_the_api_server", "a_sealed_secret_waits_for_its_identity", TAKEN_OVER],
    ),
    // An edited Secret is repaired.
    shown("A2", &["a_secret_that_somebody_changes_is_repaired", TAKEN_OVER]),
    // What was in the way goes, or is given.
    shown("A3", &["a_secret_of_somebody_else_is_left_alone_unless_it_asks_to_be_adopted", GIVEN]),
    shown("A4", &["the_secret_goes_with_its_sealed_secret_unless_it_is_to_be_retained", MADE]),
    shown(
        "A5",
        &[
            "when_the_leader_is_killed_in_the_middle_the_other_finishes_and_a_restart_does_nothing",
            "one_of_two_replicas_writes_and_a_stale_leader_does_no_harm",
        ],
    ),
    // Keys come and go.
    shown("A6", &["a_sealed_secret_waits_for_its_identity", TAKEN_OVER]),
    // A broken key or object stops no other.
    shown(
        "A7",
        &[
            "a_broken_sealed_secret_says_what_is_wrong_and_stops_no_other",
            "what_does_not_open_is_said_in_their_words_and_the_secret_stays",
        ],
    ),
    // A restart writes nothing.
    shown(
        "A8",
        &[
            "when_the_leader_is_killed_in_the_middle_the_other_finishes_and_a_restart_does_nothing",
            TAKEN_OVER,
        ],
    ),
    // A change of metadata alone.
    shown("A9", &["a_change_of_metadata_alone_is_followed", TAKEN_OVER]),
    shown("A10", &["the_status_is_always_that_of_the_last_outcome"]),
    // Templates that are random are refused.
    shown(
        "A11",
        &[
            "a_broken_sealed_secret_says_what_is_wrong_and_stops_no_other",
            "what_does_not_open_is_said_in_their_words_and_the_secret_stays",
        ],
    ),
    Shown {
        case: "A12",
        by: &[
            "a_rotation_changes_neither_the_rest_of_the_file_nor_the_secret",
            "our_controller_answers_as_theirs",
        ],
        otherwise: "the controller encrypts nothing again: `rotate` and `kubeseal --re-encrypt` do, and keep the file",
    },
    // What is served tells nothing of values.
    shown("A13", &["no_endpoint_opens_anything", "verifying_tells_whether_it_opens_and_nothing_else"]),
    shown("A14", &["an_immutable_secret_is_made_again_only_when_its_sealed_secret_says_so", MADE]),
    shown(
        "A15",
        &[
            "the_secret_goes_with_its_sealed_secret_unless_it_is_to_be_retained",
            "it_outlives_every_outage_of_the_api_server",
        ],
    ),
    // Metadata and values are sealed.
    shown("K1", &[COMMANDS, SEALED]),
    shown("K2", &[SEALED]),
    // The namespace: of the kubeconfig, and of the flag.
    shown("K3", &[COMMANDS]),
    shown("K4", &[COMMANDS]),
    // Without a server; no manifest; the certificate; the version.
    shown("K5", &[COMMANDS]),
    shown("K6", &[COMMANDS]),
    shown("K7", &[ASKED]),
    shown("K8", &[COMMANDS]),
    // Validated, and renamed before.
    shown("K9", &[ASKED]),
    shown("K10", &[ASKED]),
    // No certificate, no private key, and a backup of the keys.
    shown("K11", &[COMMANDS]),
    shown("K12", &[COMMANDS]),
    shown("K13", &[SEALED]),
    // Both controllers at once write nothing.
    shown("B1", &[TAKEN_OVER]),
    // `managed`, `patch` and `skip-set-owner-references` on a Secret of somebody else.
    shown("B2", &[GIVEN]),
    // How errors are grouped.
    shown("B3", &[SAID]),
    Shown {
        case: "B4",
        by: &[
            TAKEN_OVER,
            "conditions_have_the_labels_of_their_controller_and_go_with_their_objects",
            "errors_have_the_reasons_of_their_controller_and_name_so_many_namespaces",
        ],
        otherwise: "names, labels and values are compared; no Prometheus evaluates their rule",
    },
    // What `/v1/verify` answers, and how often.
    shown(
        "B5",
        &[
            "our_controller_answers_as_theirs",
            "the_fourth_request_of_one_asker_waits_and_that_of_another_does_not",
        ],
    ),
    shown("B6", &[SEALED, ASKED]),
    shown("B7", &[COMMANDS]),
    // Keys: old names, renewal, removed at run time, labelled as compromised; and broken ones.
    shown(
        "B8",
        &[
            TAKEN_OVER,
            "keys_are_made_when_asked_for_and_theirs_reads_them",
            "a_key_is_made_when_it_is_asked_for_and_the_newest_is_too_old",
        ],
    ),
    shown("B9", &[SAID]),
    // An item that is null in a template.
    shown("B10", &["templates_make_what_the_real_controller_makes_of_them"]),
    // The hand-over without a write.
    shown("B11", &[TAKEN_OVER, "what_their_controller_has_made_is_taken_over_without_a_write"]),
    shown("B12", &["templates_make_what_the_real_controller_makes_of_them", "templates_are_rendered_alike"]),
];

/// The tests below a folder, and the files that they are in.
fn tests_in(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_in(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            // What is between the attribute and the name is other attributes.
            for attribute in ["#[test]", "#[tokio::test]"] {
                for after in text.split(attribute).skip(1) {
                    let name = after.split_once("fn ").and_then(|(_, after)| after.split_once('('));
                    found.extend(name.map(|(name, _)| (name.to_owned(), path.display().to_string())));
                }
            }
        }
    }
}

#[test]
fn each_case_has_a_test_or_a_reason() {
    let numbers = |letter: char, last: usize| (1..=last).map(move |number| format!("{letter}{number}"));
    let expected: Vec<String> =
        numbers('C', 26).chain(numbers('A', 15)).chain(numbers('K', 13)).chain(numbers('B', 12)).collect();
    let listed: Vec<&str> = CASES.iter().map(|shown| shown.case).collect();
    assert_eq!(listed, expected);
    let mut tests = BTreeMap::new();
    for folder in ["tests", "src", "../tests/interop"] {
        tests_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut tests);
    }
    assert!(tests.len() > 100, "{}", tests.len());
    for Shown { case, by, otherwise } in CASES {
        assert!(!by.is_empty(), "{case} is shown by nothing");
        for name in *by {
            assert!(tests.contains_key(*name), "{case}: there is no test {name}");
        }
        assert!(otherwise.is_empty() || otherwise.len() > 7, "{case}");
    }
}
