//! The rows of the comparison, each with its recorded cases.

use super::{CASES, Case};

/// The recorded cases of one row of the comparison have these codes, and ours answers them alike.
fn row(id: &str, codes: &[u8]) {
    let of_row: Vec<_> = CASES.iter().filter(|case| case.row == id).collect();
    assert_eq!(of_row.iter().map(|case| case.code).collect::<Vec<_>>(), codes, "{id}");
    for case in of_row {
        assert_eq!(case.difference(), None);
    }
}

#[test]
fn m01_supported_add_ons_pass() {
    row("M01", &[0]);
}

#[test]
fn m02_a_newer_floor_is_the_remedy() {
    row("M02", &[2]);
}

#[test]
fn m03_no_floor_that_supports_the_target_waits() {
    row("M03", &[4]);
}

#[test]
fn m04_a_pin_holds_although_a_newer_floor_exists() {
    row("M04", &[4]);
}

#[test]
fn m05_a_pin_without_a_reason() {
    row("M05", &[4, 4]);
}

#[test]
fn m06_a_pin_that_supports_the_target_is_silent() {
    row("M06", &[0]);
}

#[test]
fn m07_waiting_wins_over_actionable() {
    row("M07", &[4]);
}

#[test]
fn m08_a_patch_asks_no_ceiling() {
    row("M08", &[0]);
}

#[test]
fn m09_nothing_above_the_running_minor() {
    row("M09", &[0, 0]);
}

#[test]
fn m10_an_unknown_running_minor_asks_the_add_ons() {
    row("M10", &[2, 0]);
}

#[test]
fn m11_unreadable_kubelets_are_passed_over() {
    row("M11", &[0]);
}

#[test]
fn m12_the_oldest_kubelet_counts() {
    row("M12", &[4]);
}

#[test]
fn m13_two_digit_floors() {
    row("M13", &[2]);
}

#[test]
fn m14_between_two_floors_the_lower() {
    row("M14", &[2]);
}

#[test]
fn m15_above_all_floors_the_highest() {
    row("M15", &[0, 4]);
}

#[test]
fn m16_below_the_lowest_floor_or_without_one() {
    row("M16", &[2, 2, 2, 2]);
}

#[test]
fn m17_a_newer_floor_with_a_lower_ceiling() {
    row("M17", &[4]);
}

#[test]
fn m18_of_equal_floors_the_first() {
    row("M18", &[4, 0]);
}

#[test]
fn m19_an_unreadable_image_blocks() {
    row("M19", &[2, 2, 2, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn m20_digests_and_registries_with_ports() {
    row("M20", &[0, 0, 2]);
}

#[test]
fn m21_the_first_hit_in_all_images() {
    row("M21", &[2, 0]);
}

#[test]
fn m22_a_group_with_its_v() {
    row("M22", &[2]);
}

#[test]
fn m23_what_patterns_can_do() {
    row("M23", &[2, 2, 2, 2, 2]);
}

#[test]
fn m24_an_api_removed_at_before_and_after_the_target() {
    row("M24", &[2, 2, 0]);
}

#[test]
fn m25_a_series_without_a_release() {
    row("M25", &[0, 0, 0, 0]);
}

#[test]
fn m26_a_sample_of_zero_blocks() {
    row("M26", &[2]);
}

#[test]
fn m27_three_series_three_lines() {
    row("M27", &[2]);
}

#[test]
fn m28_missing_labels() {
    row("M28", &[2, 2]);
}

#[test]
fn m29_an_unreadable_answer_blocks() {
    row("M29", &[2, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
}

#[test]
fn m30_lines_before_a_bad_series_stay() {
    row("M30", &[2]);
}

#[test]
fn m31_containerd_below_at_and_above_the_floor() {
    row("M31", &[2, 0, 0, 0, 2]);
}

#[test]
fn m32_no_floor_for_the_target() {
    row("M32", &[0]);
}

#[test]
fn m33_a_patch_below_the_floor() {
    row("M33", &[0]);
}

#[test]
fn m34_a_patch_target_asks_its_floor() {
    row("M34", &[2]);
}

#[test]
fn m35_targets_that_are_read() {
    row("M35", &[2, 2, 2, 2, 2, 2]);
}

#[test]
fn m36_targets_that_are_not() {
    row("M36", &[3, 3, 3, 3, 3, 3]);
}

#[test]
fn m37_no_argument_and_too_many() {
    row("M37", &[3, 0]);
}

#[test]
fn m38_a_matrix_that_is_no_json() {
    row("M38", &[3, 3, 3, 3, 3, 3, 3, 3]);
}

#[test]
fn m39_a_matrix_with_nothing_in_it() {
    row("M39", &[0, 0, 0, 0, 0]);
}

#[test]
fn m40_the_running_version_is_overridden() {
    row("M40", &[0, 0, 4, 0, 4, 4, 4, 0]);
}

#[test]
fn m41_keys_that_come_twice() {
    row("M41", &[0, 2, 0]);
}

#[test]
fn m42_down_two_up_and_a_major_up() {
    row("M42", &[0, 0, 4]);
}

#[test]
fn h14_captures_that_are_no_versions() {
    row("H14", &[1, 1, 1, 1, 1, 1, 1, 1]);
}

#[test]
fn h15_a_malformed_matrix() {
    row(
        "H15",
        &[
            1, 1, 1, 1, 1, 1, 1, 2, 1, 4, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 2, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1,
            1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 2,
        ],
    );
}

#[test]
fn a_pattern_that_is_not_asked_as_cpython_does_is_a_fault_of_its_add_on() {
    let of_row: Vec<_> = CASES.iter().filter(|case| case.row == "S14").map(Case::answer).collect();
    assert_eq!(of_row.len(), 3);
    for answer in of_row {
        assert_eq!((answer.code, answer.faults.len()), (3, 1), "{answer:?}");
        let fault = answer.faults[0].to_string();
        assert!(fault.starts_with("add-on \"calico\", field image_re: "), "{fault}");
        assert!(fault.contains("is not supported: "), "{fault}");
        assert!(fault.ends_with("; write a pattern whose first group is the version"), "{fault}");
    }
}
