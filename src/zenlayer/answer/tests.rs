use proptest::prelude::*;

use super::*;
use crate::port::PortInfo;
use crate::zenlayer::wire::Page;

fn reply(status: u16, headers: &[(&'static str, &str)], body: &str) -> Reply {
    let headers = headers.iter().map(|(name, value)| {
        let value = value.parse().expect("a header value");
        (reqwest::header::HeaderName::from_static(name), value)
    });
    let status = StatusCode::from_u16(status).expect("a status");
    Reply { status, headers: headers.collect(), body: body.as_bytes().to_vec() }
}

fn error(status: u16, code: &str) -> Reply {
    reply(status, &[], &format!(r#"{{"requestId":"T1","code":"{code}","message":"some words"}}"#))
}

fn read(reply: &Reply) -> Result<Page<PortInfo>, Unreadable> {
    classify_read(reply)
}

fn read_error(reply: &Reply) -> Unreadable {
    read(reply).expect_err("no good reading")
}

const GOOD_CHANGE: &str = r#"{"requestId":"T1","response":{"requestId":"T2"}}"#;

#[test]
fn a_well_formed_200_is_accepted_and_names_the_outer_request() {
    let answer = classify_change(&reply(200, &[], GOOD_CHANGE));
    assert_eq!(answer, ChangeAnswer::Accepted { request_id: Some("T1".to_owned()) });
    let bare = classify_change(&reply(200, &[], r#"{"response":{},"code":null}"#));
    assert_eq!(bare, ChangeAnswer::Accepted { request_id: None });
}

#[test]
fn whatever_leaves_the_fate_of_a_change_open_is_unclear() {
    let html = "<html>down</html>";
    let blocked = r#"{"code":"INVALID_PARAMETER_VALUE"}"#;
    for doubtful in [
        reply(200, &[], ""),
        reply(200, &[], html),
        reply(200, &[], "{}"),
        reply(200, &[], "null"),
        reply(200, &[], r#"["T1",null,null,{}]"#),
        reply(200, &[], r#"{"requestId":"T1","response":null}"#),
        reply(200, &[], r#"{"requestId":"T1","response":[]}"#),
        reply(200, &[], r#"{"requestId":"T1","response":"ok"}"#),
        reply(200, &[], r#"{"requestId":"T1","response":{}"#),
        reply(200, &[], r#"{"code":"SOME_ERROR","response":{}}"#),
        reply(200, &[], r#"{"code":"","response":{}}"#),
        error(200, "SELF_SERVICE_PORT_NOT_FOUND"),
        reply(202, &[], GOOD_CHANGE),
        reply(204, &[], ""),
        reply(302, &[("location", "https://elsewhere.example")], ""),
        reply(400, &[], html),
        reply(401, &[], html),
        reply(403, &[("cf-mitigated", "challenge")], blocked),
        reply(404, &[], html),
        reply(404, &[], r#"{"message":"no route"}"#),
        reply(404, &[], r#"{"code":""}"#),
        reply(429, &[], html),
        error(400, "INVALID_OPERATION_TIMEOUT"),
        error(400, "REQUEST_TIMED_OUT"),
        error(408, "SOME_CODE"),
        error(500, "INTERNAL_SERVER_ERROR"),
        error(500, "SELF_SERVICE_PORT_NOT_FOUND"),
        error(503, "REQUEST_TIMED_OUT"),
        reply(502, &[], html),
        reply(502, &[], GOOD_CHANGE),
    ] {
        let answer = classify_change(&doubtful);
        assert!(matches!(answer, ChangeAnswer::Unclear { .. }), "{doubtful:?} is {answer:?}");
        assert!(read(&doubtful).is_err(), "{doubtful:?} is a good reading");
    }
}

#[test]
fn a_refusal_is_told_by_its_code() {
    for (status, code, kind) in [
        (429, "REQUEST_LIMIT_EXCEEDED", RefusalKind::Throttled),
        (429, "ANOTHER_CODE", RefusalKind::Throttled),
        (400, "REQUEST_LIMIT_EXCEEDED", RefusalKind::Throttled),
        (404, "SELF_SERVICE_PORT_NOT_FOUND", RefusalKind::NotFound),
        (400, "SELF_SERVICE_PORT_NOT_FOUND", RefusalKind::NotFound),
        (404, "INVALID_PORT_NOT_FOUND", RefusalKind::NotFound),
        (404, "OPERATION_FAILED_RESOURCE_NOT_FOUND", RefusalKind::NotFound),
        (401, "SELF_SERVICE_PORT_NOT_FOUND", RefusalKind::Unauthorized),
        (403, "SELF_SERVICE_PORT_NOT_FOUND", RefusalKind::PermissionDenied),
        (404, "OPERATION_FAILED_RESOURCE_GROUP_NOT_FOUND", RefusalKind::Other),
        (404, "self_service_port_not_found", RefusalKind::Other),
        (404, r"SELF_SERVICE_PORT_NOT_FOUND\u0000", RefusalKind::Other),
        (401, "AUTHFAILURE_INVALID_AUTHORIZATION", RefusalKind::Unauthorized),
        (401, "AUTHFAILURE_SIGNATURE_FAILURE", RefusalKind::Unauthorized),
        (401, "AUTHFAILURE_SOMETHING_NEW", RefusalKind::Unauthorized),
        (401, "SOMETHING_NEW", RefusalKind::Unauthorized),
        (401, "AUTHFAILURE_UNAUTHORIZED_OPERATION", RefusalKind::PermissionDenied),
        (401, "AUTHFAILURE_SIGNATURE_EXPIRED", RefusalKind::ClockSkew),
        (403, "OPERATION_FAILED_FOR_RECYCLE_RESOURCE", RefusalKind::Other),
        (400, "INVALID_PORT_STATUS", RefusalKind::Other),
        (451, "REQUEST_BLOCKED", RefusalKind::Other),
        (429, "SOME_NEW_CODE", RefusalKind::Throttled),
        (401, "SOME_NEW_CODE", RefusalKind::Unauthorized),
    ] {
        let ChangeAnswer::Refused(refusal) = classify_change(&error(status, code)) else {
            panic!("{status} {code} is {:?}", classify_change(&error(status, code)))
        };
        assert_eq!(refusal.kind, kind, "{status} {code}");
        assert_eq!((refusal.message.as_str(), refusal.request_id.as_deref()), ("some words", Some("T1")));
    }
}

#[test]
fn a_refused_reading_says_what_it_is_about() {
    let html = "<html>";
    for (reply, kind, text) in [
        (error(429, "SOME_NEW_CODE"), RefusalKind::Throttled, "SOME_NEW_CODE: some words (request T1)"),
        (reply(429, &[], html), RefusalKind::Throttled, "HTTP 429"),
        (
            error(401, "AUTHFAILURE_SIGNATURE_FAILURE"),
            RefusalKind::Unauthorized,
            "AUTHFAILURE_SIGNATURE_FAILURE: some words (request T1)",
        ),
        (reply(401, &[], ""), RefusalKind::Unauthorized, "HTTP 401"),
        (
            error(404, "SELF_SERVICE_PORT_NOT_FOUND"),
            RefusalKind::NotFound,
            "SELF_SERVICE_PORT_NOT_FOUND: some words (request T1)",
        ),
        (
            error(400, "INVALID_PARAMETER_VALUE"),
            RefusalKind::Other,
            "INVALID_PARAMETER_VALUE: some words (request T1)",
        ),
    ] {
        let Unreadable::Refused(refusal) = read_error(&reply) else { panic!("{reply:?} is refused") };
        assert_eq!((refusal.kind, refusal.to_string().as_str()), (kind, text), "{reply:?}");
    }
}

#[test]
fn what_came_instead_of_an_answer_is_told() {
    let html = ("content-type", "text/html");
    for (reply, told) in [
        (
            reply(302, &[html, ("location", "https://login.example/in?token=secret")], "<html>"),
            "302 Found with a redirect to https://login.example/in",
        ),
        (reply(502, &[html], "<html>"), "502 Bad Gateway with a body of text/html"),
        (reply(503, &[], ""), "503 Service Unavailable with a body of no type"),
        (
            reply(403, &[("cf-mitigated", "challenge")], ""),
            "403 Forbidden from Cloudflare, which blocks the operator",
        ),
        (error(500, "BROKEN"), "500 Internal Server Error with BROKEN: some words (request T1)"),
    ] {
        assert_eq!(classify_change(&reply), ChangeAnswer::Unclear { why: told.to_owned() }, "{reply:?}");
        assert_eq!(read_error(&reply), Unreadable::Unavailable(told.to_owned()), "{reply:?}");
    }
}

#[test]
fn a_bare_404_and_a_challenge_are_no_statement_about_a_port() {
    for unavailable in [
        reply(404, &[("content-type", "text/html")], "<html>no such page</html>"),
        reply(403, &[("cf-mitigated", "challenge")], "<html>"),
        error(200, "SELF_SERVICE_PORT_NOT_FOUND"),
        error(500, "SELF_SERVICE_PORT_NOT_FOUND"),
    ] {
        let error = read_error(&unavailable);
        assert!(matches!(error, Unreadable::Unavailable(_)), "{unavailable:?} is {error:?}");
    }
}

#[test]
fn texts_of_the_server_are_made_safe_before_they_are_passed_on() {
    let long = "x".repeat(5000);
    let body = format!(r#"{{"requestId":"T\n1","code":"A\u001bB","message":"{long}"}}"#);
    let ChangeAnswer::Refused(refusal) = classify_change(&reply(400, &[], &body)) else {
        panic!("a refusal")
    };
    assert_eq!((refusal.code.as_str(), refusal.request_id.as_deref()), ("A\\u{1b}B", Some("T\\n1")));
    assert_eq!(refusal.message.chars().count(), 200);
    let ChangeAnswer::Unclear { why } = classify_change(&reply(500, &[], &body)) else { panic!("unclear") };
    assert!(why.chars().count() < 300 && !why.contains(char::is_control), "{why:?}");
}

#[test]
fn retry_after_is_seconds_or_a_date_by_the_servers_clock() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (headers, seconds) in [
        (vec![("retry-after", "120")], Some(120)),
        (vec![("retry-after", "0")], Some(0)),
        (vec![("retry-after", "18446744073709551615")], Some(300)),
        (vec![date, ("retry-after", "Sat, 06 Nov 2094 08:49:37 GMT")], Some(300)),
        (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30)),
        (vec![date, ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0)),
        (vec![("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], None),
        (vec![("retry-after", "-1")], None),
        (vec![("retry-after", "soon")], None),
        (vec![], None),
    ] {
        let retry_after = reply(429, &headers, "").retry_after();
        assert_eq!(retry_after, seconds.map(Duration::from_secs), "{headers:?}");
    }
}

#[test]
fn being_told_to_slow_down_is_heard_in_every_form() {
    let second = Duration::from_secs(1);
    for (reply, expected) in [
        (reply(429, &[("retry-after", "1")], "<html>"), Pushback::Throttled(Some(second))),
        (error(400, "REQUEST_LIMIT_EXCEEDED"), Pushback::Throttled(None)),
        (reply(503, &[("retry-after", "1")], ""), Pushback::Pause(second)),
        (error(503, "SERVICE_TEMPORARY_UNAVAILABLE"), Pushback::None),
        (reply(200, &[("retry-after", "1")], GOOD_CHANGE), Pushback::None),
    ] {
        assert_eq!(reply.pushback(), expected, "{reply:?}");
    }
}

/// Bodies that are nearly right, beside those that are anything.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let field = prop::sample::select(vec![
        r#""requestId":"T1""#,
        r#""code":null"#,
        r#""code":"SELF_SERVICE_PORT_NOT_FOUND""#,
        r#""code":"REQUEST_TIMED_OUT""#,
        r#""code":7105"#,
        r#""message":"words""#,
        r#""response":{}"#,
        r#""response":null"#,
        r#""response":{"totalCount":0,"dataSet":[]}"#,
        r#""response":{"totalCount":0,"dataSet":null}"#,
        r#""response":{"totalCount":"1","dataSet":[{"portId":"p"}]}"#,
    ]);
    let nearly = prop::collection::vec(field, 0..4).prop_map(|fields| format!("{{{}}}", fields.join(",")));
    let cut = (nearly.clone(), 0..80_usize).prop_map(|(text, at)| text.bytes().take(at).collect());
    prop_oneof![nearly.prop_map(String::into_bytes), cut, prop::collection::vec(any::<u8>(), 0..200)]
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let status = prop_oneof![Just(200_u16), Just(404), 100..1000_u16];
    let name = prop::sample::select(vec!["retry-after", "date", "cf-mitigated", "content-type"]);
    let header = (name, prop::collection::vec(any::<u8>(), 0..40));
    (status, prop::collection::vec(header, 0..3), body()).prop_map(|(status, headers, body)| {
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = reqwest::header::HeaderValue::from_bytes(&value).ok()?;
            Some((reqwest::header::HeaderName::from_static(name), value))
        });
        let status = StatusCode::from_u16(status).expect("three digits");
        Reply { status, headers: headers.collect(), body }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..Default::default() })]

    #[test]
    fn no_answer_is_taken_for_success_or_absence_unless_well_formed(reply in any_reply()) {
        let json: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
        let field = |name: &str| json.as_ref().map(|json| json[name].clone()).unwrap_or_default();
        let good = reply.status == 200 && field("code").is_null() && field("response").is_object();
        let not_found = reply.status.is_client_error() && field("code") == "SELF_SERVICE_PORT_NOT_FOUND";
        let _ = reply.pushback();
        match classify_change(&reply) {
            ChangeAnswer::Accepted { .. } => prop_assert!(good),
            ChangeAnswer::Refused(refusal) => {
                prop_assert!(reply.status.is_client_error() && !field("code").is_null());
                prop_assert!(refusal.kind != RefusalKind::NotFound || not_found);
            }
            ChangeAnswer::Unclear { .. } => {}
            ChangeAnswer::NotSent { .. } => prop_assert!(false, "an answer proves that the request was sent"),
        }
        match read(&reply) {
            Ok(page) => prop_assert!(good && field("response")["dataSet"].is_array(), "{page:?}"),
            Err(Unreadable::Refused(refusal)) if refusal.kind == RefusalKind::NotFound => {
                prop_assert!(not_found);
            }
            Err(_) => {}
        }
    }
}
