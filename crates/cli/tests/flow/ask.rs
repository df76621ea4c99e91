//! Questions: from records to an answer, with a chat endpoint on loopback that obeys whatever it reads.

#[path = "../../../ask/tests/poison/mod.rs"]
mod poison;

use crate::support::{Installation, run};
use bartizan_model::{Asset, AssetUid, Component, Ecosystem, TenantId, Timestamp};
use bartizan_server::{matching, store_config};
use bartizan_store::Store;
use bartizan_store::components::ComponentAsset;
use bartizan_xtask::running::Backend;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Serves chat completions until the test ends; keeps every request.
fn obedient() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve(stream.unwrap(), &kept);
        }
    });
    (address, requests)
}

fn serve(mut stream: TcpStream, kept: &Mutex<Vec<String>>) {
    let (head, body) = request(&mut stream);
    kept.lock().unwrap().push(format!("{head}\r\n\r\n{body}"));
    let request: Value = serde_json::from_str(&body).unwrap();
    let system = request["messages"][0]["content"].as_str().unwrap();
    let events = poison::obey(&body, system, true).concat();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
    .unwrap();
}

/// The head and the body of a request.
fn request(stream: &mut TcpStream) -> (String, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).unwrap();
        bytes.extend_from_slice(&buffer[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|l| {
                    l.to_lowercase()
                        .strip_prefix("content-length:")
                        .map(|v| v.trim().to_owned())
                })
                .and_then(|v| v.parse::<usize>().ok())
                .unwrap_or(0);
            if body.len() >= length || n == 0 {
                return (head.to_owned(), body.to_owned());
            }
        }
    }
}

/// The poisoned records as the CVE list would have them.
fn write_records(folder: &Path) {
    for document in poison::documents() {
        let products: Vec<Value> = document
            .products
            .iter()
            .map(|p| json!({"vendor": "acme", "product": p, "versions": [{"version": "0", "lessThan": "4.5", "status": "affected"}]}))
            .collect();
        let record = json!({
            "dataType": "CVE_RECORD", "dataVersion": "5.1",
            "cveMetadata": {"cveId": document.id, "state": "PUBLISHED", "datePublished": "2024-05-01T00:00:00Z"},
            "containers": {"cna": {
                "providerMetadata": {"orgId": "x", "shortName": "acme"},
                "title": document.title,
                "descriptions": [{"lang": "en", "value": document.text}],
                "affected": products,
                "references": document.references.iter().map(|r| json!({"url": r})).collect::<Vec<_>>(),
            }}
        });
        std::fs::write(
            folder.join(format!("{}.json", document.id)),
            record.to_string(),
        )
        .unwrap();
    }
    std::fs::write(folder.join("CVE-2024-0009.json"), "{ broken").unwrap();
}

#[test]
fn an_obedient_endpoint_gets_nothing_out_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (records, index) = (folder.path().join("records"), folder.path().join("index"));
    std::fs::create_dir(&records).unwrap();
    write_records(&records);
    let (records, index) = (records.to_str().unwrap(), index.to_str().unwrap());
    let (endpoint, requests) = obedient();
    let built = run(&[
        "ask",
        "--records",
        records,
        "--index",
        index,
        "--format",
        "json",
        "what is CVE-2024-0001?",
    ]);
    assert_eq!(built.code, 0, "{}", built.err);
    assert!(built.err.contains("1 could not be read"), "{}", built.err);

    for (i, poison) in poison::POISONS.iter().enumerate() {
        let question = format!(
            "what is {} about, the overflow in {}?",
            poison::id(i),
            poison.product
        );
        let asked = run(&[
            "ask",
            "--index",
            index,
            "--format",
            "json",
            "--chat-endpoint",
            &endpoint,
            &question,
        ]);
        assert_eq!(asked.code, 0, "{question}: {}", asked.err);
        let mut answer: Value = serde_json::from_str(&asked.out).unwrap();
        assert_eq!(answer["by"], "default");
        let ids: Vec<String> = answer["sources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect();
        assert!(ids.contains(&poison::id(i)));
        let sentences = answer["sentences"].as_array().unwrap();
        assert!(!sentences.is_empty(), "{question}: {}", asked.out);
        for sentence in sentences {
            let cites = sentence["cites"].as_array().unwrap();
            assert!(!cites.is_empty());
            assert!(
                cites
                    .iter()
                    .all(|c| ids.contains(&c.as_str().unwrap().to_owned())),
                "{sentence}"
            );
        }
        // The addresses that a record lists as its own are shown as such.
        for source in answer["sources"].as_array_mut().unwrap() {
            source.as_object_mut().unwrap().remove("references");
        }
        let seen = answer.to_string().to_lowercase();
        for canary in poison::CANARIES {
            assert!(
                !seen.contains(&canary.to_lowercase()),
                "{question}: {canary} in {seen}"
            );
        }
    }
    let requests = requests.lock().unwrap();
    // One a question: nothing that was said made us ask, fetch or call anything.
    assert_eq!(requests.len(), poison::POISONS.len());
    for request in requests.iter() {
        assert!(
            request.starts_with("POST /v1/chat/completions "),
            "{request}"
        );
        assert!(!request.contains("\"tools\""));
        assert!(!request.to_lowercase().contains("authorization:"));
    }
}

#[test]
fn an_endpoint_that_fails_is_told_and_the_records_speak() {
    let folder = tempfile::tempdir().unwrap();
    write_records(folder.path());
    let records = folder.path().to_str().unwrap();
    let index = folder.path().join("index");
    let index = index.to_str().unwrap();
    // Nobody listens on this port: it was just given back.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{gone}/v1");
    let asked = run(&[
        "ask",
        "--records",
        records,
        "--index",
        index,
        "--chat-endpoint",
        &endpoint,
        "overflow in rocket",
    ]);
    assert_eq!(asked.code, 0, "{}", asked.err);
    assert!(asked.out.contains("CVE-2024-0001"), "{}", asked.out);
    assert!(asked.err.contains("the endpoint failed"), "{}", asked.err);
    let none = run(&["ask", "--index", index, "how do I bake sourdough bread?"]);
    assert_eq!(none.code, 1, "{}", none.err);
    assert!(
        none.out.contains("No record speaks about this."),
        "{}",
        none.out
    );
    let nowhere = run(&["ask", "--index", "/nonexistent", "what is CVE-2024-0001?"]);
    assert_eq!(nowhere.code, 2);
    assert!(nowhere.err.contains("--records"), "{}", nowhere.err);
}

#[test]
fn a_server_without_records_says_what_to_do() {
    let server = Installation::new(&Backend::Sqlite);
    let asked = server.client(&["ask", "what is CVE-2024-0001?"]);
    assert_eq!(asked.code, 2, "{}", asked.out);
    assert!(
        asked.err.contains("no index of records yet"),
        "{}",
        asked.err
    );
}

/// Puts an inventory of one package into an installation's store, and has it matched.
fn install(data: &Path) {
    let uid = AssetUid::new("host:web//Host//web").unwrap();
    let component = Component {
        purl: "pkg:npm/left-pad@1.0.0".parse().unwrap(),
        ecosystem: Ecosystem::parse("npm"),
        source: None,
        licences: vec![],
        found: vec![],
        target: uid.clone(),
    };
    let asset = ComponentAsset {
        asset: Asset {
            uid,
            kind: "Host".into(),
            name: "web".into(),
            namespace: String::new(),
        },
        scope: "host:web".into(),
        source: "test".into(),
        unread: vec![],
    };
    let config = store_config(&bartizan_server::config::Config {
        data: data.to_owned(),
        ..Default::default()
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let store = Store::open(&config, now).await.unwrap();
        let tenant = store.tenant(&TenantId::default_tenant()).await.unwrap();
        tenant
            .replace_components(&asset, &matching::rows([component]), now)
            .await
            .unwrap();
        assert!(matching::follow(&tenant).await.unwrap());
        store.close().await;
    });
}

#[test]
fn a_data_folder_answers_of_its_own_records_and_systems() {
    let folder = tempfile::tempdir().unwrap();
    let (records, data) = (folder.path().join("ghsa"), folder.path().join("data"));
    std::fs::create_dir(&records).unwrap();
    for (n, package) in [(1, "left-pad"), (2, "right-pad")] {
        let id = format!("GHSA-aaaa-bbbb-000{n}");
        let record = json!({"schema_version": "1.6.0", "id": id, "modified": "2026-01-01T00:00:00Z",
            "aliases": [format!("CVE-2026-000{n}")], "summary": format!("A hole in {package}"),
            "details": format!("An overflow in {package} lets attackers run code."),
            "affected": [{"package": {"ecosystem": "npm", "name": package},
                "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.0.1"}]}]}]});
        std::fs::write(records.join(format!("{id}.json")), record.to_string()).unwrap();
    }
    let place = data.to_str().unwrap();
    let nothing = run(&["ask", "--data", place, "am I affected by CVE-2026-0001?"]);
    assert_eq!(nothing.code, 2, "{}", nothing.out);
    let source = format!("ghsa={}", records.display());
    let synced = run(&["cve", "sync", "--data", place, "--source", &source]);
    assert_eq!(synced.code, 0, "{}{}", synced.out, synced.err);

    // Records, and no inventory: nothing can be said.
    let ask = |question: &str| {
        let asked = run(&["ask", "--data", place, "--format", "json", question]);
        assert_eq!(asked.code, 0, "{}{}", asked.out, asked.err);
        asked.out
    };
    let unknown = ask("am I affected by CVE-2026-0001?");
    assert!(
        unknown.contains("no inventory of yours is known"),
        "{unknown}"
    );
    assert!(!unknown.contains("OWN-1"), "{unknown}");
    install(&data);
    let hit = ask("which of my hosts are affected by CVE-2026-0001?");
    assert!(
        hit.contains(
            "left-pad 1.0.0 on Host web (host:web) is affected by CVE-2026-0001; 1.0.1 fixes it"
        ),
        "{hit}"
    );
    let none = ask("am I affected by CVE-2026-0002?");
    assert!(
        none.contains("No component of it matches CVE-2026-0002"),
        "{none}"
    );
    // An inventory that cannot be read is unknown, never an empty one.
    for name in ["bartizan.db", "bartizan.db-wal"] {
        std::fs::write(data.join(name), "this is no database").unwrap();
    }
    let broken = ask("am I affected by CVE-2026-0001?");
    assert!(broken.contains("your inventory cannot be read"), "{broken}");
    assert!(!broken.contains("No component"), "{broken}");
}

/// An endpoint of vectors that knows what words mean the same. How long its vectors are may change;
/// 0 has it answer with an error.
struct Meaning {
    length: Mutex<usize>,
    requests: Mutex<Vec<(String, Value)>>,
}

const SAME: [&[&str]; 4] = [
    &["rocket", "missile", "spacecraft"],
    &["kettle", "boiler"],
    &["overflow", "overrun"],
    &["leak", "disclosure"],
];

impl Meaning {
    fn listen(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/v1/", listener.local_addr().unwrap());
        let this = Arc::clone(self);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                this.answer(stream.unwrap());
            }
        });
        address
    }

    fn answer(&self, mut stream: TcpStream) {
        let (head, body) = request(&mut stream);
        let body: Value = serde_json::from_str(&body).unwrap();
        let length = *self.length.lock().unwrap();
        let vector = |text: &str| -> Vec<f32> {
            let text = text.to_lowercase();
            let mut vector = vec![0.01; length];
            for (value, same) in vector.iter_mut().zip(SAME) {
                *value += same.iter().filter(|w| text.contains(**w)).count() as f32;
            }
            vector
        };
        let texts = body["input"].as_array().unwrap();
        let data: Vec<Value> = texts
            .iter()
            .enumerate()
            .map(|(i, text)| json!({"index": i, "embedding": vector(text.as_str().unwrap())}))
            .collect();
        self.requests.lock().unwrap().push((head, body.clone()));
        let status = if length == 0 {
            "400 Bad Request"
        } else {
            "200 OK"
        };
        let answer = json!({"object": "list", "data": data}).to_string();
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
            answer.len()
        )
        .unwrap();
    }
}

#[test]
fn an_endpoint_of_vectors_is_asked_instead_of_learning() {
    let folder = tempfile::tempdir().unwrap();
    let (records, key) = (folder.path().join("records"), folder.path().join("key"));
    std::fs::create_dir(&records).unwrap();
    std::fs::write(&key, "sesame\n").unwrap();
    for (n, text) in [
        "An overflow in the spacecraft lets attackers run code.",
        "A leak in the boiler shows keys to attackers.",
        "The lantern never goes out.",
    ]
    .iter()
    .enumerate()
    {
        let record = json!({"dataType": "CVE_RECORD", "dataVersion": "5.1",
            "cveMetadata": {"cveId": format!("CVE-2024-000{n}"), "state": "PUBLISHED"},
            "containers": {"cna": {"descriptions": [{"lang": "en", "value": text}]}}});
        std::fs::write(
            records.join(format!("CVE-2024-000{n}.json")),
            record.to_string(),
        )
        .unwrap();
    }
    let meaning = Arc::new(Meaning {
        length: Mutex::new(8),
        requests: Mutex::default(),
    });
    let endpoint = meaning.listen();
    let index = folder.path().join("index");
    let ask = |more: &[&str]| {
        let mut all = vec![
            "ask",
            "--format",
            "json",
            "--index",
            index.to_str().unwrap(),
        ];
        all.extend_from_slice(more);
        run(&all)
    };
    let endpoint = [
        "--embedding-endpoint",
        &endpoint,
        "--embedding-model",
        "meaning-1",
        "--embedding-key-file",
        key.to_str().unwrap(),
    ];
    // One word is not in the record; what it means is.
    let question = "overflow lets attackers run code in a missile";
    let first = ask(&[
        &endpoint[..],
        &["--records", records.to_str().unwrap(), question],
    ]
    .concat());
    assert_eq!(first.code, 0, "{}{}", first.out, first.err);
    let answer: Value = serde_json::from_str(&first.out).unwrap();
    assert_eq!(answer["sources"][0]["id"], "CVE-2024-0000", "{answer}");
    assert_eq!(answer["unknown"], json!([]));
    {
        let requests = meaning.requests.lock().unwrap();
        for (head, body) in requests.iter() {
            assert!(head.starts_with("POST /v1/embeddings "), "{head}");
            assert!(
                head.to_lowercase().contains("authorization: bearer sesame"),
                "{head}"
            );
            assert_eq!(body["model"], "meaning-1");
            assert!(body["input"].as_array().unwrap().len() <= 32);
        }
        let (_, last) = requests.last().unwrap();
        assert_eq!(
            last["input"].as_array().unwrap().len(),
            1,
            "the question, once"
        );
    }
    // Another model's vectors, or none, are not compared with these.
    for other in [vec![], vec!["--embedding-endpoint", endpoint[1]]] {
        let asked = ask(&[&other[..], &[question]].concat());
        assert_eq!(asked.code, 2, "{}", asked.out);
        assert!(asked.err.contains("meaning-1"), "{}", asked.err);
    }
    // Vectors of another length, and an endpoint that fails: the words remain, and it is told.
    for length in [9, 0] {
        *meaning.length.lock().unwrap() = length;
        let asked = ask(&[&endpoint[..], &["overflow in the spacecraft"]].concat());
        assert_eq!(asked.code, 0, "{}{}", asked.out, asked.err);
        let answer: Value = serde_json::from_str(&asked.out).unwrap();
        assert_eq!(answer["sources"][0]["id"], "CVE-2024-0000", "{answer}");
        let unknown = answer["unknown"].to_string();
        assert!(unknown.contains("by words alone"), "{unknown}");
        assert!(
            !unknown.contains("sesame") && !unknown.contains("127.0.0.1"),
            "{unknown}"
        );
    }
    // And nothing is built of half an answer.
    let rebuilt = ask(&[
        &endpoint[..],
        &[
            "--records",
            records.to_str().unwrap(),
            "--rebuild",
            question,
        ],
    ]
    .concat());
    assert_eq!(rebuilt.code, 2, "{}", rebuilt.out);
    assert!(rebuilt.err.contains("400"), "{}", rebuilt.err);
}
