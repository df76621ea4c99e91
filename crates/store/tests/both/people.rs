//! Users, sessions, tokens.

use crate::both;
use crate::world::*;
use bartizan_model::{Role, TenantId, UserName};
use bartizan_store::StoreError;
use bartizan_store::people::{Session, Token, User, UserChange};

both!(users_and_sessions, tokens_of_owners, tenants_are_apart);

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

fn user(text: &str, role: Role) -> User {
    User {
        name: name(text),
        role,
        disabled: false,
        must_change_password: true,
        password_hash: "$argon2id$x".into(),
        created: at(1),
        last_login: None,
    }
}

fn session(hash: u8, user: &str, expires: i64) -> Session {
    Session {
        token_hash: [hash; 32],
        user: name(user),
        csrf_token: "c".into(),
        created: at(10),
        expires: at(expires),
    }
}

async fn users_and_sessions(w: World) {
    let t = &w.tenant;
    t.create_user(&user("ana", Role::Admin), &act("system", 1))
        .await
        .unwrap();
    let error = t
        .create_user(&user("ana", Role::Viewer), &act("system", 1))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)));
    t.create_session(&session(1, "ana", 100), &act("ana", 10))
        .await
        .unwrap();
    t.create_session(&session(2, "ana", 50), &act("ana", 10))
        .await
        .unwrap();
    let (tenant, s, u) = w.store.session(&[1; 32], at(20)).await.unwrap().unwrap();
    assert_eq!(
        (tenant, s, u.last_login),
        (
            TenantId::default_tenant(),
            session(1, "ana", 100),
            Some(at(10))
        )
    );
    assert_eq!(w.store.session(&[2; 32], at(50)).await.unwrap(), None);
    assert_eq!(w.store.sweep_credentials(at(50)).await.unwrap(), 1);
    t.delete_session(&[9; 32], &act("ana", 20)).await.unwrap();
    // A new password ends sessions; so does locking.
    let change = UserChange {
        password_hash: Some("new".into()),
        must_change_password: Some(false),
        ..UserChange::default()
    };
    t.change_user(&name("ana"), &change, &act("ana", 21))
        .await
        .unwrap();
    assert_eq!(w.store.session(&[1; 32], at(22)).await.unwrap(), None);
    let ana = t.user(&name("ana")).await.unwrap().unwrap();
    assert_eq!(
        (
            ana.password_hash.as_str(),
            ana.must_change_password,
            ana.role
        ),
        ("new", false, Role::Admin)
    );
    t.create_session(&session(3, "ana", 100), &act("ana", 23))
        .await
        .unwrap();
    let lock = UserChange {
        disabled: Some(true),
        role: Some(Role::Viewer),
        ..UserChange::default()
    };
    t.change_user(&name("ana"), &lock, &act("bob", 24))
        .await
        .unwrap();
    assert_eq!(w.store.session(&[3; 32], at(25)).await.unwrap(), None);
    t.delete_user(&name("ana"), &act("bob", 26)).await.unwrap();
    assert_eq!(t.users().await.unwrap(), []);
    for error in [
        t.delete_user(&name("ana"), &act("bob", 26))
            .await
            .unwrap_err(),
        t.change_user(&name("ana"), &lock, &act("bob", 26))
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::NotFound { what: "user", .. }));
    }
}

async fn tokens_of_owners(w: World) {
    let t = &w.tenant;
    for who in ["ana", "bob"] {
        t.create_user(&user(who, Role::Operator), &act("system", 1))
            .await
            .unwrap();
    }
    let token = |id: &str, owner: &str, expires| Token {
        id: id.into(),
        name: "ci".into(),
        role: Role::Viewer,
        owner: name(owner),
        created: at(2),
        expires,
    };
    let one = token("t1", "ana", None);
    let two = token("t2", "bob", Some(at(100)));
    t.create_token(&one, &[1; 32], &act("ana", 2))
        .await
        .unwrap();
    t.create_token(&two, &[2; 32], &act("bob", 2))
        .await
        .unwrap();
    let (_, found, owner) = w.store.token(&[1; 32], at(50)).await.unwrap().unwrap();
    assert_eq!((found, owner.name), (one.clone(), name("ana")));
    assert_eq!(w.store.token(&[2; 32], at(100)).await.unwrap(), None);
    assert_eq!(t.tokens(None).await.unwrap(), [one.clone(), two.clone()]);
    assert_eq!(t.tokens(Some(&name("bob"))).await.unwrap(), [two]);
    let error = t
        .revoke_token("t1", Some(&name("bob")), &act("bob", 3))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "token", .. }));
    t.revoke_token("t1", Some(&name("ana")), &act("ana", 3))
        .await
        .unwrap();
    assert_eq!(w.store.token(&[1; 32], at(50)).await.unwrap(), None);
}

async fn tenants_are_apart(w: World) {
    use bartizan_model::Outcome::Fail;
    use bartizan_store::findings::{FindingFilter, FindingSort};
    use bartizan_store::{PageRequest, audit::AuditFilter, scans::ResultFilter};
    let other = w
        .store
        .create_tenant(&TenantId::new("other").unwrap(), at(1))
        .await
        .unwrap();
    let same = w
        .store
        .create_tenant(&TenantId::new("other").unwrap(), at(2))
        .await
        .unwrap();
    assert_eq!(other.id(), same.id());
    assert_eq!(w.store.tenants().await.unwrap().len(), 2);
    let error = w
        .store
        .tenant(&TenantId::new("none").unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::NotFound { what: "tenant", .. }));
    w.import(&said("s1", "prod", 100, &[("high-a", "web", Fail)]))
        .await;
    let page = PageRequest::default();
    let d = FindingFilter {
        q: Some("web".into()),
        ..FindingFilter::default()
    };
    for filter in [FindingFilter::default(), d] {
        for sort in FindingSort::ALL {
            assert_eq!(
                w.tenant
                    .findings(&filter, sort, &page)
                    .await
                    .unwrap()
                    .page
                    .items
                    .len(),
                1
            );
            assert_eq!(
                other
                    .findings(&filter, sort, &page)
                    .await
                    .unwrap()
                    .page
                    .items,
                []
            );
        }
    }
    assert_eq!(
        other.finding(&key("prod", "high-a", "web")).await.unwrap(),
        None
    );
    assert_eq!(
        other
            .results(&ResultFilter::default(), &page)
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(other.scopes(true).await.unwrap(), []);
    assert_eq!(other.scans(None, &page).await.unwrap().items, []);
    assert_eq!(other.checks(None).await.unwrap(), []);
    assert_eq!(other.jobs(None, &page).await.unwrap().items, []);
    assert_eq!(
        other
            .audit(&AuditFilter::default(), &page)
            .await
            .unwrap()
            .items,
        []
    );
    assert_eq!(other.dump_state().await.unwrap(), "");
    // Users of one tenant are none of the other; the same name may be in both.
    other
        .create_user(&user("ana", Role::Admin), &act("system", 1))
        .await
        .unwrap();
    assert_eq!(w.tenant.users().await.unwrap(), []);
}
