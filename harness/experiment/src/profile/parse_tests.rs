//! What the parser accepts, and how it refuses everything else.

use std::io::Write;
use std::time::Duration;

use super::parse::{MAX_FILE_BYTES, MAX_REGIONS};
use super::*;

const HEAD: &str = "\
format = 1
name = \"two\"
source.title = \"made up\"
source.date = \"2026-11\"
source.method = \"for a test\"
";

/// Lines 6 and 7 are the regions' and links', each stated on one line.
fn profile_text(regions: &str, links: &str) -> String {
    format!("{HEAD}regions = [{regions}]\nlinks = [{links}]\n")
}

const TWO_REGIONS: &str = r#"{ name = "a" }, { name = "b" }"#;

fn with_link(fields: &str) -> Result<Profile, ProfileError> {
    let link = format!(r#"{{ between = ["a", "b"], {fields} }}"#);
    Profile::parse(&profile_text(TWO_REGIONS, &link), "p.toml")
}

fn link_of(profile: &Profile, from: u16, to: u16) -> &Link {
    profile.link(LinkId {
        from: RegionIndex(from),
        to: RegionIndex(to),
    })
}

fn marginal_of(fields: &str) -> Marginal {
    let jitter = format!("one_way_ms = 1, jitter = {{ {fields} }}");
    let profile = with_link(&jitter).unwrap();
    link_of(&profile, 0, 1).jitter.marginal.clone()
}

fn assert_refused(result: Result<Profile, ProfileError>, message: &str) {
    let error = result.expect_err(message).to_string();
    assert!(error.starts_with(message), "{error}\nis not\n{message}");
    assert!(!error.contains('\n'), "one line: {error}");
}

#[test]
fn the_example_of_the_documentation_is_a_profile() {
    let documentation = include_str!("parse.rs");
    let example: String = documentation
        .lines()
        .skip_while(|line| *line != "//! ```toml")
        .skip(1)
        .take_while(|line| *line != "//! ```")
        .map(|line| line.trim_start_matches("//!").to_owned() + "\n")
        .collect();
    let profile = Profile::parse(&example, "example").unwrap();
    assert_eq!(profile.regions.len(), 3);
    let east_west = link_of(&profile, 1, 0);
    assert_eq!(east_west.one_way, Duration::from_micros(34_582));
    // The round trip's mean halves, and so does its variance: 0.5 / sqrt 2 = 0.353553 ms.
    let gamma = Marginal::Gamma {
        mean: Duration::from_micros(200),
        deviation: Duration::from_nanos(353_553),
    };
    assert_eq!(east_west.jitter.marginal, gamma);
    assert_eq!(east_west.rate_bps, Some(1_000_000_000));
    assert_eq!(
        link_of(&profile, 0, 2).one_way,
        Duration::from_micros(55_200)
    );
    assert_eq!(link_of(&profile, 0, 2).jitter.marginal, Marginal::None);
    assert_eq!(link_of(&profile, 1, 2).one_way, Duration::from_millis(80));
    assert_eq!(link_of(&profile, 1, 2).loss, 0.01);
    assert_eq!(link_of(&profile, 2, 1).one_way, Duration::from_millis(95));
    assert_eq!(link_of(&profile, 2, 1).rate_bps, Some(20_000_000));
    assert_eq!(
        link_of(&profile, 1, 1),
        &Link::fixed(Duration::from_micros(100))
    );
    assert_eq!(
        link_of(&profile, 2, 2),
        &Link::fixed(Duration::from_micros(150))
    );
}

#[test]
fn every_marginal_is_read() {
    let ms = Duration::from_millis;
    let cases = [
        ("marginal = \"none\"", Marginal::None),
        (
            "marginal = \"uniform\", low_ms = 1, high_ms = 2",
            Marginal::Uniform {
                low: ms(1),
                high: ms(2),
            },
        ),
        (
            "marginal = \"normal\", mean_ms = 2, deviation_ms = 1",
            Marginal::Normal {
                mean: ms(2),
                deviation: ms(1),
            },
        ),
        (
            "marginal = \"paretonormal\", mean_ms = 2, deviation_ms = 1",
            Marginal::ParetoNormal {
                mean: ms(2),
                deviation: ms(1),
            },
        ),
        (
            "marginal = \"exponential\", mean_ms = 2",
            Marginal::Exponential { mean: ms(2) },
        ),
        (
            "marginal = \"pareto\", scale_ms = 2, shape = 3",
            Marginal::Pareto {
                scale: ms(2),
                shape: 3.0,
            },
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = [[0, 0], [0.5, 1]]",
            Marginal::Quantiles(vec![(0.0, ms(0)), (0.5, ms(1))]),
        ),
    ];
    for (fields, marginal) in cases {
        assert_eq!(marginal_of(fields), marginal);
        let component = format!("components = [{{ weight = 1, {fields} }}]");
        let mixture = marginal_of(&format!("marginal = \"mixture\", {component}"));
        let weight = 1.0;
        assert_eq!(
            mixture,
            Marginal::Mixture(vec![Component { weight, marginal }])
        );
    }
}

#[test]
fn a_bad_link_is_refused_where_it_stands() {
    let cases = [
        (
            "one_way_ms = -1",
            "p.toml:7:47: one_way_ms is -1; it must be a number from 0 to 10000",
        ),
        (
            "one_way_ms = 10001",
            "p.toml:7:47: one_way_ms is 10001; it must be a number from 0 to",
        ),
        (
            "one_way_ms = nan",
            "p.toml:7:47: one_way_ms is NaN; it must be a number",
        ),
        (
            "one_way_ms = inf",
            "p.toml:7:47: one_way_ms is inf; it must be a number",
        ),
        (
            "rtt_ms = 20001",
            "p.toml:7:43: rtt_ms is 20001; it must be a number from 0 to 20000",
        ),
        (
            "one_way_ms = \"5\"",
            "p.toml:7:47: invalid type: string \"5\", expected f64",
        ),
        (
            "one_way_ms = 1, rtt_ms = 2",
            "p.toml:7:10: a link states either `one_way_ms` or",
        ),
        (
            "loss = 0.1",
            "p.toml:7:10: a link states either `one_way_ms` or `rtt_ms`",
        ),
        (
            "one_way_ms = 1, from = \"a\"",
            "p.toml:7:10: a link states `between = ",
        ),
        (
            "one_way_ms = 1, loss = 1",
            "p.toml:7:57: loss is 1; it must be a share from 0 to below 1",
        ),
        (
            "one_way_ms = 1, loss = -0.1",
            "p.toml:7:57: loss is -0.1; it must be a share",
        ),
        (
            "one_way_ms = 1, rate_mbps = 0",
            "p.toml:7:62: rate_mbps is 0; it must be a number",
        ),
        (
            "one_way_ms = 1, delay = 3",
            "p.toml:7:50: unknown field `delay`, expected one of",
        ),
    ];
    for (fields, message) in cases {
        assert_refused(with_link(fields), message);
    }
}

#[test]
fn bad_jitter_is_refused_where_it_stands() {
    let cases = [
        (
            "marginal = \"gauss\"",
            "p.toml:7:59: unknown marginal \"gauss\"; choose none, uniform",
        ),
        (
            "marginal = \"gamma\", mean_ms = 1",
            "p.toml:7:59: a gamma marginal needs `deviation_ms`",
        ),
        (
            "marginal = \"none\", shape = 1",
            "p.toml:7:59: a none marginal has no `shape`; remove",
        ),
        (
            "marginal = \"gamma\", mean_ms = 0, deviation_ms = 1",
            "p.toml:7:91: mean_ms is 0;",
        ),
        (
            "marginal = \"gamma\", mean_ms = 0.001, deviation_ms = 1",
            "p.toml:7:59: deviation_ms over mean_ms of a gamma, in one direction, is 1000.0000; it must be from 0.001",
        ),
        (
            "marginal = \"pareto\", scale_ms = 1, shape = 1",
            "p.toml:7:104: shape is 1; it must",
        ),
        (
            "marginal = \"uniform\", low_ms = 2, high_ms = 1",
            "p.toml:7:59: `low_ms` is above `high_ms`; swap them",
        ),
        (
            "marginal = \"none\", correlation_ms = 0",
            "p.toml:7:97: correlation_ms is 0; it must be a number from 0.001 to 3600000",
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = [[0, 1], [0.5, 0.5]]",
            "p.toml:7:100: the quantiles are not in order at [0.5, 0.5]; delays must not descend",
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = [[0, 1], [0.5, 2], [0.5, 3]]",
            "p.toml:7:100: the quantiles are not in order at [0.5, 3]; probabilities must ascend",
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = [[0.5, 1]]",
            "p.toml:7:100: the quantiles are not in order at [0.5, 1]; start with probability 0",
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = [[0, nan]]",
            "p.toml:7:100: the quantiles are not in order at [0, NaN]; delays are from 0",
        ),
        (
            "marginal = \"quantiles\", quantiles_ms = []",
            "p.toml:7:100: the number of quantiles is 0; it must be from 1 to 256",
        ),
        (
            "marginal = \"mixture\", components = [{ weight = 0.6, marginal = \"none\" }]",
            "p.toml:7:96: the weights of the mixture sum to 0.6; they must sum to 1",
        ),
        (
            "marginal = \"mixture\", components = [{ marginal = \"none\" }]",
            "p.toml:7:97: a mixture's component needs a `weight`",
        ),
        (
            "marginal = \"mixture\", components = [{ weight = 1, marginal = \"mixture\" }]",
            "p.toml:7:97: a mixture's component is not itself a mixture",
        ),
        (
            "marginal = \"none\", weight = 1",
            "p.toml:7:89: only the components of a mixture",
        ),
    ];
    for (fields, message) in cases {
        let jitter = format!("one_way_ms = 1, jitter = {{ {fields} }}");
        assert_refused(with_link(&jitter), message);
    }
}

#[test]
fn the_jitter_of_a_round_trip_is_split_or_refused() {
    let stated =
        |fields: &str| with_link(&format!("rtt_ms = 2, round_trip_jitter = {{ {fields} }}"));
    let profile = stated("marginal = \"exponential\", mean_ms = 1").unwrap();
    assert!(matches!(
        link_of(&profile, 0, 1).jitter.marginal,
        Marginal::Gamma { mean, .. } if mean == Duration::from_micros(500)
    ));
    assert_refused(
        stated("marginal = \"uniform\", low_ms = 0, high_ms = 1"),
        "p.toml:7:66: a round trip's uniform jitter cannot be split into directions; state gamma",
    );
    assert_refused(
        stated("marginal = \"quantiles\", quantiles_ms = [[0, 0], [0.5, 0], [0.6, 9], [1, 9]]"),
        "p.toml:7:66: two independent directions cannot reproduce the round trip's quantile",
    );
    // 150 on the round trip is 150 x sqrt 2 = 212 in each direction, above 200.
    assert_refused(
        stated("marginal = \"gamma\", mean_ms = 0.01, deviation_ms = 1.5"),
        "p.toml:7:66: deviation_ms over mean_ms of a gamma, in one direction, is 212.1",
    );
    assert_refused(
        with_link(
            "rtt_ms = 2, jitter = { marginal = \"none\" }, round_trip_jitter = { marginal = \"none\" }",
        ),
        "p.toml:7:98: `jitter` and `round_trip_jitter` exclude each other; remove one",
    );
}

#[test]
fn bad_regions_are_refused_where_they_stand() {
    let long = format!("{{ name = {:?} }}", "x".repeat(65));
    let cases = [
        (
            "",
            "p.toml:6:11: the profile has no regions; state at least one",
        ),
        (
            r#"{ name = "a" }, { name = "a" }"#,
            "p.toml:6:37: region 'a' is already stated on line 6; remove one of the two",
        ),
        (
            r#"{ name = "" }"#,
            "p.toml:6:21: the name \"\" is empty; choose another",
        ),
        (
            r#"{ name = "a\u001b[2J" }"#,
            r#"p.toml:6:21: the name "a\u{1b}[2J" has control characters; choose another"#,
        ),
        (
            r#"{ name = " a" }"#,
            "p.toml:6:21: the name \" a\" starts or ends with a space",
        ),
        (&long, "p.toml:6:21: the name \"xxxxxxxxxxxxxxxxxxxx"),
        (
            r#"{ name = "a", latitude = 1 }"#,
            "p.toml:6:12: a region states both `latitude` and `longitude`, or neither",
        ),
        (
            r#"{ name = "a", latitude = 91, longitude = 0 }"#,
            "p.toml:6:37: latitude is 91; it must be a number from -90 to 90",
        ),
    ];
    for (regions, message) in cases {
        assert_refused(
            Profile::parse(&profile_text(regions, ""), "p.toml"),
            message,
        );
    }
}

#[test]
fn links_must_cover_every_direction_once() {
    let cases = [
        (
            "",
            "p.toml: 2 directions have no link: 'a' to 'b', 'b' to 'a'; add them to `links`",
        ),
        (
            r#"{ from = "a", to = "b", one_way_ms = 1 }"#,
            "p.toml: 1 directions have no link: 'b' to 'a'; add them to `links`",
        ),
        (
            r#"{ between = ["a", "c"], one_way_ms = 1 }"#,
            "p.toml:7:28: unknown region \"c\"; the regions are a, b",
        ),
        (
            r#"{ between = ["a", "a"], one_way_ms = 1 }"#,
            "p.toml:7:10: 'a' is linked to itself; state `lan` in the region",
        ),
        (
            r#"{ between = ["a", "b"], one_way_ms = 1 }, { from = "b", to = "a", one_way_ms = 1 }"#,
            "p.toml:7:52: the link from 'b' to 'a' is already stated on line 7; remove one",
        ),
        (
            r#"{ from = "a", to = "b", rtt_ms = 1 }"#,
            "p.toml:7:10: a directed link states `one_way_ms`; `rtt_ms` is for links with",
        ),
    ];
    for (links, message) in cases {
        assert_refused(
            Profile::parse(&profile_text(TWO_REGIONS, links), "p.toml"),
            message,
        );
    }
}

#[test]
fn a_file_that_is_no_profile_is_refused() {
    let cases = [
        (
            "",
            "p.toml: the profile is empty; state its name, source, regions and links",
        ),
        (" \n\t\n", "p.toml: the profile is empty"),
        ("format = \n", "p.toml:1:10: "),
        ("format = 1\n\nname 3\n", "p.toml:3:"),
        ("format = 1\nformat = 1\n", "p.toml:2:1: duplicate key"),
        ("format = 1\n", "p.toml:1:1: missing field `name`"),
        (
            "colour = 1\n",
            "p.toml:1:1: unknown field `colour`, expected one of",
        ),
    ];
    for (text, message) in cases {
        assert_refused(Profile::parse(text, "p.toml"), message);
    }
    let later = profile_text(TWO_REGIONS, "").replace("format = 1", "format = 2");
    assert_refused(
        Profile::parse(&later, "p.toml"),
        "p.toml:1:10: profile format 2 is not known; this longhaul reads format 1",
    );
    let nested = format!("format = {}", "[".repeat(100_000));
    assert!(Profile::parse(&nested, "p.toml").is_err());
}

#[test]
fn too_many_regions_are_refused() {
    let regions: Vec<String> = (0..=MAX_REGIONS)
        .map(|index| format!("{{ name = \"r{index}\" }}"))
        .collect();
    let text = profile_text(&regions.join(", "), "");
    assert_refused(
        Profile::parse(&text, "p.toml"),
        "p.toml:6:11: the profile has 513 regions; at most 512 are supported",
    );
}

#[test]
fn an_oversized_file_is_refused_without_being_read_whole() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    // A sparse file of 100 GB: reading it whole would take minutes.
    file.as_file().set_len(100 << 30).unwrap();
    let error = Profile::load(file.path()).unwrap_err();
    let limit = MAX_FILE_BYTES;
    assert_eq!(error.problem, Problem::TooLarge { limit });
    file.as_file().set_len(0).unwrap();
    file.write_all(b"\xff\xfe\x00junk").unwrap();
    let error = Profile::load(file.path()).unwrap_err();
    assert_eq!(error.problem, Problem::NotText);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    assert_refused(
        Profile::load("/nonexistent/p.toml"),
        "/nonexistent/p.toml: cannot read the profile: ",
    );
    // A directory opens, but does not read.
    assert_refused(Profile::load("/"), "/: cannot read the profile: ");
}
