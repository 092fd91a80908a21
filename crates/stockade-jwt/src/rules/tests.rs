use super::*;
use crate::claims::tests::claims;

const NOW: u64 = 1_000_000;

fn rules() -> TokenRules {
    TokenRules::new("https://id.example.com", "api").leeway(Duration::from_secs(60))
}

fn judge(rules: &TokenRules, json: &str) -> Result<Accepted, Cause> {
    rules.judge(&claims(json).unwrap(), Timestamp::from_secs(NOW))
}

fn with(members: &str) -> String {
    format!(
        r#"{{"iss":"https://id.example.com","aud":"api","sub":"alice","exp":{},{members}}}"#,
        NOW + 900
    )
}

// J05
#[test]
fn a_token_is_good_within_its_time() {
    let base = r#""iss":"https://id.example.com","aud":"api","sub":"a""#;
    for (times, expected) in [
        (format!("\"exp\":{}", NOW - 60 - 1), Some(Cause::Expired)),
        (format!("\"exp\":{}", NOW - 60), Some(Cause::Expired)),
        (format!("\"exp\":{}", NOW - 59), None),
        (format!("\"exp\":{},\"nbf\":{}", NOW + 900, NOW + 60), None),
        (
            format!("\"exp\":{},\"nbf\":{}", NOW + 900, NOW + 61),
            Some(Cause::NotYetValid),
        ),
        (
            format!("\"exp\":{},\"nbf\":0,\"iat\":{}", NOW + 900, NOW + 61),
            Some(Cause::NotYetValid),
        ),
        (format!("\"nbf\":{NOW}"), Some(Cause::Claims)),
        ("\"exp\":18446744073".to_owned(), None),
        ("\"exp\":0".to_owned(), Some(Cause::Expired)),
    ] {
        let judged = judge(&rules(), &format!("{{{base},{times}}}"));
        assert_eq!(judged.err(), expected, "{times}");
    }
}

// J04
#[test]
fn a_time_that_is_none_is_refused() {
    for claim in ["nbf", "iat"] {
        for value in ["\"0\"", "-1", "null", "[]", "9e18", "1.5"] {
            let judged = judge(&rules(), &with(&format!("\"{claim}\":{value}")));
            assert_eq!(judged.err(), Some(Cause::Claims), "{claim} {value}");
        }
    }
}

// J06
#[test]
fn audience_and_issuer_match_exactly() {
    let ours = "https://id.example.com";
    let token = |issuer: &str, audience: &str| {
        format!(
            r#"{{"iss":{issuer},"sub":"a","exp":{}{audience}}}"#,
            NOW + 1
        )
    };
    for (issuer, audience, expected) in [
        (ours, ",\"aud\":\"api\"", None),
        (ours, ",\"aud\":[\"other\",\"api\"]", None),
        (ours, "", Some(Cause::Audience)),
        (ours, ",\"aud\":\"other\"", Some(Cause::Audience)),
        (ours, ",\"aud\":\"API\"", Some(Cause::Audience)),
        (ours, ",\"aud\":\"api/\"", Some(Cause::Audience)),
        (ours, ",\"aud\":\"\"", Some(Cause::Audience)),
        (ours, ",\"aud\":[]", Some(Cause::Audience)),
        (ours, ",\"aud\":null", Some(Cause::Audience)),
        (ours, ",\"aud\":[\"api\",7]", Some(Cause::Audience)),
        (ours, ",\"aud\":[[\"api\"]]", Some(Cause::Audience)),
        (ours, ",\"aud\":{\"api\":1}", Some(Cause::Audience)),
        (
            "https://id.example.com/",
            ",\"aud\":\"api\"",
            Some(Cause::Issuer),
        ),
        (
            "https://id.example.com.evil",
            ",\"aud\":\"api\"",
            Some(Cause::Issuer),
        ),
        (
            "https://ID.example.com",
            ",\"aud\":\"api\"",
            Some(Cause::Issuer),
        ),
        ("", ",\"aud\":\"api\"", Some(Cause::Issuer)),
    ] {
        let judged = judge(&rules(), &token(&format!("\"{issuer}\""), audience));
        assert_eq!(judged.err(), expected, "{issuer} {audience}");
    }
    let array = token(&format!("[\"{ours}\"]"), ",\"aud\":\"api\"");
    assert_eq!(judge(&rules(), &array).err(), Some(Cause::Claims));
    let none = format!(r#"{{"aud":"api","sub":"a","exp":{}}}"#, NOW + 1);
    assert_eq!(judge(&rules(), &none).err(), Some(Cause::Issuer));
}

// J06
#[test]
fn a_token_for_somebody_is_refused_where_nobody_is_configured() {
    let open = rules().dangerous_no_audience().dangerous_any_issuer();
    let token = |more: &str| format!(r#"{{"sub":"a","exp":{}{more}}}"#, NOW + 1);
    assert!(judge(&open, &token("")).is_ok());
    assert!(judge(&open, &token(",\"iss\":\"x\"")).is_ok());
    for audience in ["\"api\"", "[]", "null"] {
        let judged = judge(&open, &token(&format!(",\"aud\":{audience}")));
        assert_eq!(judged.err(), Some(Cause::Audience), "{audience}");
    }
}

#[test]
fn the_principal_is_made_as_configured() {
    let rules = rules()
        .id_prefix("idp:")
        .subject_claim("email")
        .scope_claim("roles")
        .attribute("tier", "plan")
        .attribute("level", "level")
        .attribute("tree", "tree");
    let json = with(
        r#""email":"a@example.com","roles":["chat:write","Domain Users","*x"],
           "tier":"gold","level":3,"tree":{}"#,
    );
    let principal = judge(&rules, &json).unwrap().principal;
    assert_eq!(principal.id(), "idp:a@example.com");
    assert_eq!(principal.scopes().to_string(), "chat:write");
    assert_eq!(principal.attribute("plan"), Some("gold"));
    assert_eq!(principal.attribute("level"), Some("3"));
    assert_eq!(principal.attribute("tree"), None);
}

#[test]
fn scopes_are_a_text_or_an_array_of_texts() {
    for (value, expected) in [
        ("\"b a\"", Ok("a b")),
        ("[\"b\",\"a\"]", Ok("a b")),
        ("\"\"", Ok("")),
        ("[]", Ok("")),
        ("\"chat:* a\"", Ok("a")),
        ("7", Err(Cause::Scopes)),
        ("null", Err(Cause::Scopes)),
        ("[\"a\",7]", Err(Cause::Scopes)),
        ("{\"admin\":true}", Err(Cause::Scopes)),
    ] {
        let judged = judge(&rules(), &with(&format!("\"scope\":{value}")));
        let scopes = judged.map(|accepted| accepted.principal.scopes().to_string());
        assert_eq!(
            scopes.as_deref().map_err(|cause| *cause),
            expected,
            "{value}"
        );
    }
}

#[test]
fn a_subject_is_a_short_plain_text() {
    let long = format!("\"{}\"", "x".repeat(257));
    for value in [
        "\"\"",
        "7",
        "null",
        "[]",
        "\"a\\nb\"",
        "\"a\\u0000\"",
        &long,
    ] {
        let json = format!(
            r#"{{"iss":"https://id.example.com","aud":"api","exp":{},"sub":{value}}}"#,
            NOW + 1
        );
        assert!(judge(&rules(), &json).is_err(), "{value}");
    }
}

#[test]
fn a_token_of_another_type_is_refused() {
    let access = rules().token_type("at+jwt");
    for (token_type, any, only_access) in [
        (None, true, false),
        (Some("JWT"), true, false),
        (Some("jwt"), true, false),
        (Some("at+jwt"), true, true),
        (Some("application/AT+JWT"), true, true),
        (Some("dpop+jwt"), false, false),
        (Some("application/"), false, false),
        (Some(""), false, false),
    ] {
        assert_eq!(
            rules().check_type(token_type).is_ok(),
            any,
            "{token_type:?}"
        );
        assert_eq!(
            access.check_type(token_type).is_ok(),
            only_access,
            "{token_type:?}"
        );
    }
}

#[test]
fn a_token_that_could_not_be_revoked_is_refused_where_that_matters() {
    let mut strict = rules();
    strict.require_id();
    assert_eq!(judge(&strict, &with("\"x\":1")).err(), Some(Cause::NoId));
    assert_eq!(
        judge(&strict, &with("\"jti\":\"\"")).err(),
        Some(Cause::NoId)
    );
    assert_eq!(
        judge(&strict, &with("\"jti\":7")).err(),
        Some(Cause::Claims)
    );
    assert!(judge(&strict, &with("\"jti\":\"x\"")).is_ok());
}
