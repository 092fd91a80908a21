use super::*;
use crate::claims::tests::claims;

const NOW: u64 = 1_000_000;

fn rules() -> TokenRules {
    TokenRules::new("https://id.example.com", "api").leeway(Duration::from_secs(60))
}

fn validate(rules: &TokenRules, json: &str) -> Result<VerifiedToken, TokenError> {
    rules.validate(&claims(json).unwrap(), Timestamp::from_secs(NOW))
}

fn with(members: &str) -> String {
    format!(
        r#"{{"iss":"https://id.example.com","aud":"api","sub":"alice","exp":{},{members}}}"#,
        NOW + 900
    )
}

// J05
#[test]
fn accepts_tokens_within_their_validity_period() {
    let base = r#""iss":"https://id.example.com","aud":"api","sub":"a""#;
    for (times, expected) in [
        (
            format!("\"exp\":{}", NOW - 60 - 1),
            Some(TokenError::Expired),
        ),
        (format!("\"exp\":{}", NOW - 60), Some(TokenError::Expired)),
        (format!("\"exp\":{}", NOW - 59), None),
        (format!("\"exp\":{},\"nbf\":{}", NOW + 900, NOW + 60), None),
        (
            format!("\"exp\":{},\"nbf\":{}", NOW + 900, NOW + 61),
            Some(TokenError::NotYetValid),
        ),
        (
            format!("\"exp\":{},\"nbf\":0,\"iat\":{}", NOW + 900, NOW + 61),
            Some(TokenError::NotYetValid),
        ),
        (format!("\"nbf\":{NOW}"), Some(TokenError::Claims)),
        ("\"exp\":18446744073".to_owned(), None),
        ("\"exp\":0".to_owned(), Some(TokenError::Expired)),
    ] {
        let result = validate(&rules(), &format!("{{{base},{times}}}"));
        assert_eq!(result.err(), expected, "{times}");
    }
}

// J04
#[test]
fn rejects_malformed_times() {
    for claim in ["nbf", "iat"] {
        for value in ["\"0\"", "-1", "null", "[]", "9e18", "1.5"] {
            let result = validate(&rules(), &with(&format!("\"{claim}\":{value}")));
            assert_eq!(result.err(), Some(TokenError::Claims), "{claim} {value}");
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
        (ours, "", Some(TokenError::Audience)),
        (ours, ",\"aud\":\"other\"", Some(TokenError::Audience)),
        (ours, ",\"aud\":\"API\"", Some(TokenError::Audience)),
        (ours, ",\"aud\":\"api/\"", Some(TokenError::Audience)),
        (ours, ",\"aud\":\"\"", Some(TokenError::Audience)),
        (ours, ",\"aud\":[]", Some(TokenError::Audience)),
        (ours, ",\"aud\":null", Some(TokenError::Audience)),
        (ours, ",\"aud\":[\"api\",7]", Some(TokenError::Audience)),
        (ours, ",\"aud\":[[\"api\"]]", Some(TokenError::Audience)),
        (ours, ",\"aud\":{\"api\":1}", Some(TokenError::Audience)),
        (
            "https://id.example.com/",
            ",\"aud\":\"api\"",
            Some(TokenError::Issuer),
        ),
        (
            "https://id.example.com.evil",
            ",\"aud\":\"api\"",
            Some(TokenError::Issuer),
        ),
        (
            "https://ID.example.com",
            ",\"aud\":\"api\"",
            Some(TokenError::Issuer),
        ),
        ("", ",\"aud\":\"api\"", Some(TokenError::Issuer)),
    ] {
        let result = validate(&rules(), &token(&format!("\"{issuer}\""), audience));
        assert_eq!(result.err(), expected, "{issuer} {audience}");
    }
    let array = token(&format!("[\"{ours}\"]"), ",\"aud\":\"api\"");
    assert_eq!(validate(&rules(), &array).err(), Some(TokenError::Claims));
    let none = format!(r#"{{"aud":"api","sub":"a","exp":{}}}"#, NOW + 1);
    assert_eq!(validate(&rules(), &none).err(), Some(TokenError::Issuer));
}

// J06
#[test]
fn rejects_audience_when_none_is_configured() {
    let open = rules().dangerous_no_audience().dangerous_any_issuer();
    let token = |more: &str| format!(r#"{{"sub":"a","exp":{}{more}}}"#, NOW + 1);
    assert!(validate(&open, &token("")).is_ok());
    assert!(validate(&open, &token(",\"iss\":\"x\"")).is_ok());
    for audience in ["\"api\"", "[]", "null"] {
        let result = validate(&open, &token(&format!(",\"aud\":{audience}")));
        assert_eq!(result.err(), Some(TokenError::Audience), "{audience}");
    }
}

#[test]
fn maps_claims_to_the_principal() {
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
    let principal = validate(&rules, &json).unwrap().principal;
    assert_eq!(principal.id(), "idp:a@example.com");
    assert_eq!(principal.scopes().to_string(), "chat:write");
    assert_eq!(principal.attribute("plan"), Some("gold"));
    assert_eq!(principal.attribute("level"), Some("3"));
    assert_eq!(principal.attribute("tree"), None);
}

#[test]
fn scopes_are_a_string_or_an_array_of_strings() {
    for (value, expected) in [
        ("\"b a\"", Ok("a b")),
        ("[\"b\",\"a\"]", Ok("a b")),
        ("\"\"", Ok("")),
        ("[]", Ok("")),
        ("\"chat:* a\"", Ok("a")),
        ("7", Err(TokenError::Scopes)),
        ("null", Err(TokenError::Scopes)),
        ("[\"a\",7]", Err(TokenError::Scopes)),
        ("{\"admin\":true}", Err(TokenError::Scopes)),
    ] {
        let result = validate(&rules(), &with(&format!("\"scope\":{value}")));
        let scopes = result.map(|verified| verified.principal.scopes().to_string());
        assert_eq!(
            scopes.as_deref().map_err(|cause| *cause),
            expected,
            "{value}"
        );
    }
}

#[test]
fn rejects_malformed_subjects() {
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
        assert!(validate(&rules(), &json).is_err(), "{value}");
    }
}

#[test]
fn rejects_other_token_types() {
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
fn requires_jti_when_tokens_must_be_revocable() {
    let mut strict = rules();
    strict.require_id();
    assert_eq!(
        validate(&strict, &with("\"x\":1")).err(),
        Some(TokenError::MissingId)
    );
    assert_eq!(
        validate(&strict, &with("\"jti\":\"\"")).err(),
        Some(TokenError::MissingId)
    );
    assert_eq!(
        validate(&strict, &with("\"jti\":7")).err(),
        Some(TokenError::Claims)
    );
    assert!(validate(&strict, &with("\"jti\":\"x\"")).is_ok());
}
