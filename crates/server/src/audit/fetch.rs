//! Objects that are to be judged and are not at hand: read in pages where many of a kind are, one
//! by one where few are.

use bartizan_cluster::audit::Task;
use bartizan_cluster::{Cluster, Error, Name, Object, PageRequest, Resource};
use futures::StreamExt;
use std::collections::HashMap;
use std::sync::Arc;

/// Objects a page.
const PAGE: u32 = 500;
/// From so many on, a page costs less than asking for each.
const FEW: usize = 16;
/// Objects of passed pages that are kept: names and pages are not quite in the same order.
const KEPT: usize = 4 * PAGE as usize;
/// Questions at once.
const AT_ONCE: usize = 8;

/// An object, or why it is not there.
pub type Fetched = (Task, Result<Object, Error>);

/// Where a walk over the pages of one kind stands.
#[derive(Debug, Default)]
pub struct Lister {
    next: Option<String>,
    held: HashMap<Name, Object>,
}

impl Lister {
    /// What is at hand goes from the missing to the found.
    fn take(&mut self, missing: &mut Vec<Task>, found: &mut Vec<Fetched>) {
        missing.retain(|task| match self.held.remove(&task.name) {
            Some(object) => {
                found.push((task.clone(), Ok(object)));
                false
            }
            None => true,
        });
    }
}

/// Fetches the objects of tasks of one kind.
pub async fn fetch(
    cluster: Arc<dyn Cluster>,
    resource: Resource,
    tasks: Vec<Task>,
    mut lister: Lister,
) -> (Vec<Fetched>, Lister) {
    let mut found = Vec::with_capacity(tasks.len());
    let mut missing = tasks;
    lister.take(&mut missing, &mut found);
    // At most one round: what is not found in it is asked for by name.
    let mut restarted = lister.next.is_none();
    while missing.len() > FEW {
        let request = PageRequest {
            namespace: None,
            limit: PAGE,
            next: lister.next.take(),
        };
        let Ok(page) = cluster.list(&resource, &request).await else {
            break;
        };
        if lister.held.len() > KEPT {
            lister.held.clear();
        }
        let objects = page.objects.into_iter();
        lister.held.extend(objects.map(|o| (o.name.clone(), o)));
        lister.take(&mut missing, &mut found);
        lister.next = page.next;
        if lister.next.is_none() {
            if restarted {
                break;
            }
            restarted = true;
        }
    }
    let each = missing.into_iter().map(|task| {
        let (cluster, resource) = (Arc::clone(&cluster), resource.clone());
        async move {
            let answer = cluster.get(&resource, &task.name).await;
            (task, answer)
        }
    });
    let mut answers = futures::stream::iter(each).buffer_unordered(AT_ONCE);
    while let Some(answer) = answers.next().await {
        found.push(answer);
    }
    (found, lister)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bartizan_cluster::audit::Kind;
    use bartizan_cluster::fake::Fake;
    use serde_json::json;

    #[tokio::test]
    async fn many_are_read_in_pages_and_what_is_gone_is_said() {
        let pods = Resource::new("", "v1", "Pod", "pods", true);
        let fake = Fake::new(vec![pods.clone()]);
        let name = |n: usize| {
            Name::within(
                if n.is_multiple_of(2) { "a" } else { "a-b" },
                &format!("p{n:04}"),
            )
        };
        for n in 0..1_200 {
            let (name, ns) = (name(n).name, name(n).namespace);
            let value = json!({"metadata": {"namespace": ns, "name": name}});
            fake.put(&pods, value).unwrap();
        }
        let mut names: Vec<Name> = (0..1_201).map(name).collect();
        names.sort();
        let task = |name: &Name| Task {
            kind: Kind::new("", "Pod"),
            name: name.clone(),
            policies: vec!["p".into()],
        };
        let mut lister = Lister::default();
        let mut found = 0;
        for batch in names.chunks(256) {
            let tasks = batch.iter().map(task).collect();
            let cluster = Arc::new(fake.clone());
            let (answers, rest) = fetch(cluster, pods.clone(), tasks, lister).await;
            lister = rest;
            assert_eq!(answers.len(), batch.len());
            found += answers.iter().filter(|(_, a)| a.is_ok()).count();
            for (task, answer) in answers {
                match answer {
                    Ok(object) => assert_eq!(object.name, task.name),
                    Err(error) => assert!(matches!(error, Error::NotFound(_))),
                }
            }
        }
        assert_eq!(found, 1_200);
        let calls = fake.calls();
        assert!(calls.len() < 60, "{} calls", calls.len());
    }
}
