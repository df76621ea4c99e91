//! Inventories looked through: by vulnerability, by asset, by upgrade; as bills of materials, and
//! compared.

use super::matching::{advisory, apply, settle};
use crate::both;
use crate::support::World;
use axum::body::Body;
use axum::http::Request;
use bartizan_vuln::Record;
use serde_json::{Value, json};

fn inventory(asset: &str, parts: &[(&str, &[&str])], unread: &[&str]) -> Value {
    let uid = uid(asset);
    let components: Vec<Value> = parts
        .iter()
        .map(|(part, licences)| {
            json!({"purl": format!("pkg:npm/{part}"), "ecosystem": "npm", "target": uid,
                "licences": licences, "found": [{"path": format!("/srv/{asset}/lock.json")}]})
        })
        .collect();
    json!({"scope": format!("host:{asset}"), "source": "test",
        "asset": {"uid": uid, "kind": "Host", "name": asset},
        "components": components, "unread": unread})
}

fn uid(asset: &str) -> String {
    format!("host:{asset}//Host//{asset}")
}

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().unwrap()
}

fn one<'a>(page: &'a Value, name: &str, value: &str) -> &'a Value {
    let found = items(page).iter().find(|item| item[name] == value);
    found.unwrap_or_else(|| panic!("no {name} {value}: {page}"))
}

/// Three machines: two have a package in versions with holes, one a version without an order.
async fn fill(w: &World) {
    for (id, cve, package, fixed) in [
        ("GHSA-1", "CVE-2026-0001", "left-pad", "1.0.1"),
        ("GHSA-2", "CVE-2026-0002", "left-pad", "1.2.0"),
        ("GHSA-3", "CVE-2026-0003", "odd", "2.0.0"),
    ] {
        let hole = advisory(id, cve, "npm", package, fixed);
        apply(w, Record::Advisory(Box::new(hole))).await;
    }
    for body in [
        inventory(
            "a",
            &[("left-pad@1.0.0", &["MIT"]), ("odd@latest", &[])],
            &["/x.jar: broken"],
        ),
        inventory(
            "b",
            &[("left-pad@1.0.0", &["MIT"]), ("left-pad@1.1.0", &["MIT"])],
            &[],
        ),
        inventory("c", &[("leaf@1.0.0", &["ISC"])], &[]),
    ] {
        let taken = w.post("/components", body).await;
        assert_eq!(taken.status, 202, "{}", taken.text());
    }
    settle(w).await;
}

both!(what_is_there_is_told_from_every_side, |w| async move {
    for empty in [
        "/vulnerabilities/present",
        "/vulnerabilities/fixes",
        "/inventories",
        "/components/holders?package=pkg:npm/left-pad",
    ] {
        assert!(items(&w.get(empty).await).is_empty(), "{empty}");
    }
    fill(&w).await;
    // By vulnerability. An asset's two versions of a package are one finding.
    let present = w.get("/vulnerabilities/present").await;
    assert_eq!(present["total"]["count"], 3, "{present}");
    let first = one(&present, "id", "CVE-2026-0001");
    assert_eq!(
        (&first["open"], &first["assets"], &first["components"]),
        (&json!(2), &json!(2), &json!(1))
    );
    let second = one(&present, "id", "CVE-2026-0002");
    assert_eq!(
        (&second["open"], &second["components"], &second["fixable"]),
        (&json!(2), &json!(2), &json!(2))
    );
    assert_eq!(second["packages"], json!(["left-pad"]));
    let unsure = one(&present, "id", "CVE-2026-0003");
    assert_eq!(
        (&unsure["open"], &unsure["unknown"], &unsure["fixable"]),
        (&json!(0), &json!(1), &json!(0)),
        "{unsure}"
    );
    let of_a = w.get("/vulnerabilities/present?scope=host:a&q=0001").await;
    assert_eq!(
        (
            items(&of_a).len(),
            &of_a["items"][0]["open"],
            &of_a["items"][0]["assets"]
        ),
        (1, &json!(1), &json!(1))
    );
    let level = first["level"].as_str().unwrap();
    let other = if level == "act" { "track" } else { "act" };
    assert!(
        items(
            &w.get(&format!("/vulnerabilities/present?level={other}"))
                .await
        )
        .is_empty()
    );
    let by_findings = w
        .get("/vulnerabilities/present?sort=findings&limit=2")
        .await;
    assert_eq!(items(&by_findings).len(), 2);
    let cursor = by_findings["next_cursor"].as_str().unwrap();
    let rest = w
        .get(&format!(
            "/vulnerabilities/present?sort=findings&limit=2&cursor={cursor}"
        ))
        .await;
    assert_eq!(
        (&rest["items"][0]["id"], &rest["next_cursor"]),
        (&json!("CVE-2026-0003"), &Value::Null)
    );
    // By upgrade: what two versions of one machine would count twice counts once.
    let fixes = w.get("/vulnerabilities/fixes").await;
    assert_eq!(
        items(&fixes).len(),
        1,
        "what cannot be said has no upgrade: {fixes}"
    );
    let fix = &fixes["items"][0];
    assert_eq!(
        (&fix["upgrade_to"], &fix["from"]),
        (&json!("1.2.0"), &json!(["1.0.0", "1.1.0"]))
    );
    assert_eq!(
        (&fix["closes"], &fix["assets"], &fix["leaves"]),
        (&json!(4), &json!(2), &json!(0)),
        "{fix}"
    );
    assert_eq!(fix["vulnerabilities"].as_array().unwrap().len(), 2);
    let open = w.get("/findings?status=active").await;
    assert_eq!(
        open["total"]["count"], fix["closes"],
        "it closes what is open"
    );
    let of_b = w.get("/vulnerabilities/fixes?scope=host:b").await;
    assert_eq!(
        (&of_b["items"][0]["closes"], &of_b["items"][0]["assets"]),
        (&json!(2), &json!(1))
    );
    assert!(items(&w.get("/vulnerabilities/fixes?q=nothing").await).is_empty());
    let mut held = Vec::new();
    let mut path = "/components/holders?package=pkg:npm/left-pad&limit=1".to_owned();
    while held.len() < 9 {
        let page = w.get(&path).await;
        held.extend(
            items(&page)
                .iter()
                .map(|i| format!("{} {}", i["name"], i["version"])),
        );
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/components/holders?package=pkg:npm/left-pad&limit=1&cursor={cursor}");
    }
    held.sort();
    assert_eq!(
        held,
        ["\"a\" \"1.0.0\"", "\"b\" \"1.0.0\"", "\"b\" \"1.1.0\""]
    );
    // By asset.
    let assets = w.get("/inventories").await;
    let names: Vec<&Value> = items(&assets).iter().map(|i| &i["name"]).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let a = one(&assets, "name", "a");
    assert_eq!((&a["unread"], &a["components"]), (&json!(1), &json!(2)));
    let sum: u64 = a["findings"]
        .as_object()
        .unwrap()
        .values()
        .map(|n| n.as_u64().unwrap())
        .sum();
    assert_eq!(sum, 2, "{a}");
    assert_eq!(items(&w.get("/inventories?q=B&kind=Host").await).len(), 1);
    assert!(items(&w.get("/inventories?kind=Image").await).is_empty());
    // By one vulnerability, with the finding's state.
    let affected = w.get("/vulnerabilities/CVE-2026-0001/affected").await;
    let on_a = one(&affected, "name", "a");
    assert_eq!(
        (&on_a["status"], &on_a["fixed"], &on_a["version"]),
        (&json!("open"), &json!("1.0.1"), &json!("1.0.0"))
    );
    let key = on_a["finding"].as_str().unwrap();
    assert_eq!(w.get(&format!("/findings/{key}")).await["status"], "open");
    let unsure = w.get("/vulnerabilities/CVE-2026-0003/affected").await;
    let unsure = &unsure["items"][0];
    assert_eq!(
        (&unsure["standing"], &unsure["status"]),
        (&json!("unknown"), &Value::Null),
        "{unsure}"
    );
    // What somebody accepts stays there, as accepted.
    let accept = json!({"keys": [key], "action": "accept", "reason": "behind a wall",
        "owner": "ada", "expires": "2027-01-01T00:00:00Z"});
    assert_eq!(w.post("/findings/actions", accept).await.status, 200);
    let after = w.get("/vulnerabilities/present?q=0001").await;
    assert_eq!(
        (&after["items"][0]["open"], &after["items"][0]["accepted"]),
        (&json!(1), &json!(1))
    );
});

both!(an_inventory_is_looked_through, |w| async move {
    fill(&w).await;
    let path = format!("/inventories/components?asset={}", uid("a"));
    let all = w.get(&path).await;
    assert_eq!(
        (&all["components"], &all["vulnerable"], &all["unknown"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(all["inventory"]["unread"], json!(["/x.jar: broken"]));
    let pad = &all["items"][0];
    assert_eq!(
        (&pad["name"], &pad["affected"], &pad["upgrade_to"]),
        (&json!("left-pad"), &json!(2), &json!("1.2.0"))
    );
    assert_eq!(pad["found"][0]["path"], "/srv/a/lock.json");
    let odd = &all["items"][1];
    assert_eq!(
        (&odd["affected"], &odd["unknown"], &odd["worst"]),
        (&json!(0), &json!(1), &Value::Null)
    );
    assert_eq!(odd["vulnerabilities"][0]["standing"], "unknown");
    for (query, count) in [
        ("q=PAD", 1),
        ("q=pkg:npm/odd@latest", 1),
        ("q=/srv/a", 2),
        ("q=nothing", 0),
        ("licence=MIT", 1),
        ("licence=none", 1),
        ("ecosystem=npm", 2),
        ("ecosystem=PyPI", 0),
        ("vulnerable=true", 2),
    ] {
        let page = w.get(&format!("{path}&{query}")).await;
        assert_eq!(
            (items(&page).len(), &page["total"]["count"]),
            (count, &json!(count)),
            "{query}"
        );
    }
    let first = w.get(&format!("{path}&limit=1&sort=name")).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = w
        .get(&format!("{path}&limit=1&sort=name&cursor={cursor}"))
        .await;
    assert_eq!(
        (&second["items"][0]["name"], &second["inventory"]),
        (&json!("odd"), &Value::Null)
    );
    for (wrong, status) in [
        ("/inventories/components?asset=host:none", 404),
        ("/inventories/sbom?asset=host:none", 404),
        ("/inventories/sbom?asset=host:none&format=pdf", 400),
        ("/inventories/diff?before=host:none&after=host:none", 404),
        ("/inventories?cursor=zz", 400),
        ("/inventories?sort=size", 400),
        ("/vulnerabilities/present?severity=bad", 400),
        ("/vulnerabilities/present?level=bad", 400),
        ("/components/holders?package=left-pad", 400),
    ] {
        let answer = w.fetch(wrong).await;
        assert_eq!(answer.status, status, "{wrong}: {}", answer.text());
    }
});

both!(inventories_are_downloaded_and_compared, |w| async move {
    fill(&w).await;
    let two = format!("/inventories/diff?before={}&after={}", uid("a"), uid("b"));
    let between = w.get(&two).await;
    let check = |diff: &Value| {
        assert_eq!(diff["added"], json!([]), "{diff}");
        assert_eq!(diff["removed"][0]["name"], "odd");
        // What could not be said goes with its package.
        assert_eq!(diff["removed"][0]["closes"], json!(["CVE-2026-0003"]));
        let changed = &diff["changed"][0];
        assert_eq!(
            (&changed["before"], &changed["after"]),
            (&json!([]), &json!(["1.1.0"]))
        );
        assert_eq!((&diff["closes"], &diff["opens"]), (&json!(1), &json!(0)));
        assert_eq!(
            (&diff["before"]["unread"], &diff["before"]["components"]),
            (&json!(1), &json!(2))
        );
    };
    check(&between);
    // As a file it says the same, whichever form it has.
    for (format, mark) in [("cyclonedx", "bomFormat"), ("spdx", "spdxVersion")] {
        let file = w
            .fetch(&format!(
                "/inventories/sbom?asset={}&format={format}",
                uid("a")
            ))
            .await;
        assert_eq!(file.status, 200);
        assert!(file.json().get(mark).is_some(), "{}", file.text());
        let named = file.headers["content-disposition"].to_str().unwrap();
        assert!(named.contains("filename=\"a."), "{named}");
        let path = format!("/api/v1/inventories/diff?after={}", uid("b"));
        let request = Request::post(path).body(Body::from(file.body)).unwrap();
        let answer = w.send(&w.token, request).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        check(&answer.json());
    }
    let backwards = format!("/inventories/diff?before={}&after={}", uid("c"), uid("a"));
    let backwards = w.get(&backwards).await;
    assert_eq!(backwards["opens"], 3, "{backwards}");
    assert_eq!(backwards["after"]["unread"], 1);
    let path = format!("/api/v1/inventories/diff?after={}", uid("b"));
    let request = Request::post(path).body(Body::from("no bill")).unwrap();
    assert_eq!(w.send(&w.token, request).await.status, 422);
});
