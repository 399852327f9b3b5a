//! C1–C8, C10, C11, C16, C19–C21: what Zenlayer answers, and when.

use std::time::Duration;

use anyhow::ensure;
use test_support::proxy::Line;
use test_support::tls::Certificate;
use zenlayer_port_operator::api::DeletionPolicy;
use zenlayer_simulator::{Account, Answer, Apply, Config, Fault, Port, PortStatus, Rule, Simulator};

use super::cases;
use crate::bench::LONG_GRACE;

cases! {
    "answer-lost" ["C1"] Shared
    "Zenlayer carries out a call and its answer is lost. The operator does not repeat the call." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        for (action, answer) in [("TerminatePort", Answer::Reset), ("DestroyPort", Answer::Lost)] {
            bench.fault(Rule::on(action).times(2).answer(answer));
        }
        bench.delete(recycled).await?;
        bench.delete(live).await?;
        bench.shows(recycled, "Destroying").await?;
        bench.neighbour_goes().await?;
        bench.all_go(&[live, recycled]).await?;
    }

    "applied-late" ["C2"] Shared
    "Zenlayer carries out a call long after its answer was lost. It destroys only the port of that call, and only once." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let delay = Duration::from_millis(bench.chance.u64(500..12_000));
        // What arrives after it is settled is called again meanwhile.
        bench.limits.sends = 2;
        bench.fault(Rule::on("DestroyPort").once().apply(Apply::Late(delay)).answer(Answer::Lost));
        bench.delete(object).await?;
        bench.shows(object, "Confirming").await?;
        bench.goes(object).await?;
    }

    "lost-before-commit" ["C3"] Shared
    "A call is lost before Zenlayer carries it out. The operator calls again after it is sure of that." |bench| {
        bench.start().await?;
        let (live, recycled) = (bench.running_port().await?, bench.recycled().await?);
        for action in ["TerminatePort", "DestroyPort"] {
            bench.fault(Rule::on(action).once().apply(Apply::Never).answer(Answer::Lost));
        }
        bench.limits.sends = 2;
        bench.delete(recycled).await?;
        bench.delete(live).await?;
        bench.shows(recycled, "Confirming").await?;
        bench.all_go(&[recycled, live]).await?;
    }

    "accepted-and-forgotten" ["C3"] Shared
    "Zenlayer accepts a call and never carries it out. The operator stops waiting and calls again." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").once().apply(Apply::Never));
        bench.limits.sends = 2;
        bench.delete(object).await?;
        bench.shows(object, "Destroying").await?;
        bench.goes(object).await?;
    }

    "throttled" ["C4"] Shared
    "Zenlayer answers every request with 429. The object shows Throttled, other accounts continue, and the deletion continues when the 429s end." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let after = ["1", "nonsense", "Wed, 21 Oct 2015 07:28:00 GMT"][bench.chance.usize(0..3)];
        let after = bench.chance.bool().then_some(after);
        bench.fault(Rule::any().throttle(after));
        bench.delete(object).await?;
        bench.shows(object, "Throttled").await?;
        bench.neighbour_goes_before(object).await?;
        bench.calm();
        bench.goes(object).await?;
    }

    "throttled-destroy" ["C4"] Shared
    "Zenlayer answers only DestroyPort with 429. The operator counts this as a refusal and tries again." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").times(2).throttle(Some("1")));
        bench.limits.sends = 3;
        bench.delete(object).await?;
        bench.shows(object, "Throttled").await?;
        bench.goes(object).await?;
    }

    "bad-lists" ["C5" "C6" "C20"] Shared
    "Zenlayer answers with malformed lists. The operator never concludes that the port is gone." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let mut answers = bad_answers();
        answers.push(Answer::json(200, r#"{"requestId":"T1","response":{"totalCount":null,"dataSet":null}}"#));
        answers.push(Answer::json(200, r#"{"requestId":"T1","response":{"totalCount":"1","dataSet":{}}}"#));
        answers.push(Answer::Huge(50 << 20));
        bench.chance.shuffle(&mut answers);
        let first = bench.fault(Rule::on("DescribePorts").answer(Answer::html(502)));
        bench.delete(object).await?;
        bench.shows(object, "CloudUnavailable").await?;
        for answer in answers {
            bench.fault(Rule::on("DescribePorts").times(2).answer(answer));
        }
        bench.cloud.clear_fault(first);
        bench.neighbour_goes().await?;
        bench.until("every answer was given", async |bench| {
            let spent = |fault: &Fault| Some(fault.spoiled) == fault.rule.times;
            Ok(bench.cloud.faults().iter().all(spent).then_some(()))
        }).await?;
        bench.goes(object).await?;
    }

    "bad-answers-to-calls" ["C5" "C6" "C20"] Shared
    "Calls get strange answers, carried out or not. Each port is destroyed once." |bench| {
        bench.value("deletion.massDeletionThreshold=0");
        bench.start().await?;
        let mut answers = bad_answers();
        bench.chance.shuffle(&mut answers);
        let mut objects = Vec::new();
        for answer in answers {
            let object = bench.seed(PortStatus::Recycled, DeletionPolicy::default()).await?;
            // A call that was not carried out is made again.
            bench.limits.sends = 2;
            let apply = if bench.chance.bool() { Apply::Now } else { Apply::Never };
            let port = bench.port_of(object).to_owned();
            bench.fault(Rule::on("DestroyPort").port(port).once().apply(apply).answer(answer));
            objects.push(object);
        }
        for object in &objects {
            bench.shows(*object, "PortRecycled").await?;
        }
        for object in &objects {
            bench.delete(*object).await?;
        }
        bench.all_go(&objects).await?;
    }

    "strange-ports" ["C5"] Shared
    "A port has fields that are null, unusual or unknown. The operator still destroys it." |bench| {
        bench.start().await?;
        let id = bench.port_id();
        let tenant = bench.tenant.clone();
        bench.cloud.seed(
            Port::new(&id).account(tenant.account).status(PortStatus::Recycled)
                .field("portName", serde_json::Value::Null).field("portType", serde_json::Value::Null)
                .field("dcName", serde_json::Value::Null).field("expiredTime", serde_json::Value::Null)
                .field("connectionStatus", "SIDEWAYS").field("novelty", serde_json::json!({ "a": [1, null] })),
        );
        let object = bench.create(&tenant, &id, DeletionPolicy::default()).await?;
        bench.shows(object, "PortRecycled").await?;
        bench.delete(object).await?;
        bench.goes(object).await?;
    }

    "slow-answers" ["C7"] Shared
    "A list arrives very slowly or is not valid gzip. The operator gives up in time and delays no other account." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        let gzip = Answer::Replaced {
            status: 200,
            headers: vec![("content-encoding".into(), "gzip".into()), ("content-type".into(), "application/json".into())],
            body: "\u{1f}not gzip".to_owned(),
        };
        bench.fault(Rule::on("DescribePorts").once().answer(gzip));
        bench.fault(Rule::on("DescribePorts").once().answer(Answer::Slow(Duration::from_secs(1))));
        bench.delete(object).await?;
        bench.neighbour_goes().await?;
        bench.shows(object, "CloudUnavailable").await?;
        bench.goes(object).await?;
    }

    "half-open" ["C7"] Shared
    "Connections fall silent in the middle of deletions. The operator gives them up and continues." |bench| {
        let line = bench.proxy_to_cloud().await?;
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.delete(object).await?;
        bench.a_while(Duration::from_secs(3)).await;
        line.set(Line::Silent);
        bench.a_while(Duration::from_secs(5)).await;
        line.set(Line::Open);
        bench.goes(object).await?;
    }

    "endpoint-gone" ["C19"] Shared
    "Nothing listens at Zenlayer's endpoint. The object shows CloudUnavailable." |bench| {
        let line = bench.proxy_to_cloud().await?;
        bench.start().await?;
        let object = bench.recycled().await?;
        line.set(Line::Shut);
        bench.delete(object).await?;
        bench.shows(object, "CloudUnavailable").await?;
        line.set(Line::Open);
        bench.goes(object).await?;
    }

    "certificates" ["C8"] Shared
    "The server cannot prove that it is Zenlayer, or never finishes the TLS handshake. The operator sends no request, and the object shows the cause." |bench| {
        let (server, line) = bench.start_with_tls().await?;
        let object = bench.recycled().await?;
        let mut spoilt = [Certificate::Expired, Certificate::OfAnotherHost, Certificate::OfAnUnknownIssuer];
        bench.chance.shuffle(&mut spoilt);
        server.show(spoilt[0])?;
        line.cut();
        let before = bench.cloud.journal().requests().len();
        bench.delete(object).await?;
        for certificate in spoilt {
            server.show(certificate)?;
            bench.shows_because(object, "CloudUnavailable", certificate.complaint()).await?;
        }
        line.set(Line::Silent);
        bench.a_while(Duration::from_secs(3)).await;
        let after = bench.cloud.journal().requests().len();
        ensure!(after == before, "O7 no secret: {} requests went to a server that proved nothing", after - before);
        server.show(Certificate::Good)?;
        line.set(Line::Open);
        bench.goes(object).await?;
    }

    "redirected" ["C10"] Shared
    "Zenlayer redirects to another host. The operator does not follow, so neither a request nor a key gets there." |bench| {
        let trap = Simulator::start(Config { accounts: vec![Account::new("tenant")], ..Config::default() })?;
        bench.start().await?;
        let (first, second) = (bench.recycled().await?, bench.recycled().await?);
        let to = format!("{}/api/v2/sdn", trap.url());
        let port = bench.port_of(first).to_owned();
        bench.fault(Rule::on("DestroyPort").port(port).once().answer(Answer::redirect(&to)));
        bench.delete(first).await?;
        bench.goes(first).await?;
        bench.fault(Rule::on("DescribePorts").answer(Answer::redirect(&to)));
        bench.delete(second).await?;
        bench.shows(second, "CloudUnavailable").await?;
        bench.calm();
        bench.goes(second).await?;
        let requests = trap.journal().requests().len();
        ensure!(requests == 0, "O7 no secret: {requests} requests went where the redirect points to");
    }

    "unauthorized" ["C11"] Shared
    "Zenlayer refuses the key in several ways. Each has its own reason, and a refusal with HTTP 404 does not prove that the port is gone." |bench| {
        bench.value(LONG_GRACE).start().await?;
        let object = bench.recycled().await?;
        bench.delete(object).await?;
        let mut refusals = vec![
            (401, "AUTHFAILURE_ACCESS_KEY_NOT_FOUND", "Unauthorized"),
            (403, "AUTHFAILURE_UNAUTHORIZED_OPERATION", "PermissionDenied"),
            (400, "AUTHFAILURE_SIGNATURE_EXPIRED", "ClockSkew"),
            (404, "AUTHFAILURE_SIGNATURE_FAILURE", "Unauthorized"),
        ];
        bench.chance.shuffle(&mut refusals);
        let mut before = None;
        for (status, code, reason) in refusals {
            // Of two rules the older one has a request.
            bench.fault(Rule::any().refuse(status, code));
            before.map(|id| bench.cloud.clear_fault(id));
            before = bench.cloud.faults().last().map(|fault| fault.id);
            bench.shows_because(object, reason, code_shown(reason, code)).await?;
        }
        bench.calm();
        bench.goes(object).await?;
    }

    "auth-fails-on-call" ["C11"] Shared
    "A key may list ports but not destroy them. The object shows PermissionDenied until the key gets the permission." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").refuse(403, "AUTHFAILURE_UNAUTHORIZED_OPERATION"));
        bench.limits.sends = MOST_REFUSED;
        bench.delete(object).await?;
        bench.shows(object, "PermissionDenied").await?;
        bench.neighbour_goes_before(object).await?;
        bench.calm();
        bench.goes(object).await?;
    }

    "in-use" ["C16"] Shared
    "Zenlayer refuses to destroy a port in use. The message contains Zenlayer's code, and the operator destroys the port once it is free." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::on("DestroyPort").refuse(400, "OPERATION_DENIED_PORT_IN_USE"));
        bench.limits.sends = MOST_REFUSED;
        bench.delete(object).await?;
        bench.shows_because(object, "Refused", "OPERATION_DENIED_PORT_IN_USE").await?;
        bench.neighbour_goes_before(object).await?;
        bench.calm();
        bench.goes(object).await?;
    }

    "account-frozen" ["C21"] Shared
    "Zenlayer refuses every request of a frozen account. The operator takes no port for gone, and continues after the payment." |bench| {
        bench.start().await?;
        let object = bench.recycled().await?;
        bench.fault(Rule::any().refuse(403, "OPERATION_DENIED_ACCOUNT_ARREARS"));
        bench.delete(object).await?;
        bench.shows_because(object, "DescribeRefused", "OPERATION_DENIED_ACCOUNT_ARREARS").await?;
        bench.neighbour_goes_before(object).await?;
        bench.calm();
        bench.goes(object).await?;
    }
}

/// A call that is refused is made again after a pause that doubles: so often while another port is released.
const MOST_REFUSED: usize = 6;

/// What tells one refusal of a key from the other of the same reason.
fn code_shown<'a>(reason: &str, code: &'a str) -> &'a str {
    if reason == "Unauthorized" { code } else { "" }
}

/// Answers that say neither yes nor no.
fn bad_answers() -> Vec<Answer> {
    vec![
        Answer::html(500),
        Answer::html(502),
        Answer::json(503, r#"{"code":"SERVICE_TEMPORARY_UNAVAILABLE","message":"later"}"#),
        Answer::html(504),
        Answer::html(200),
        Answer::empty(),
        Answer::Truncated,
        Answer::json(200, "{\"requestId\":"),
        Answer::json(200, "[]"),
        Answer::json(200, "null"),
        Answer::json(200, r#"{"requestId":"T1"}"#),
        Answer::code_in_200("INTERNAL_SERVER_ERROR"),
        Answer::json(500, r#"{"code":"INTERNAL_SERVER_ERROR"}"#),
        Answer::json(408, r#"{"code":"REQUEST_TIMED_OUT","message":"too slow"}"#),
        Answer::Replaced {
            status: 200,
            headers: vec![("content-type".into(), "text/plain".into())],
            body: "OK".into(),
        },
        Answer::Reset,
    ]
}
