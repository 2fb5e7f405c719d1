use super::*;
use crate::config::{Entra, EntraMethod, IdentityHeader};

fn entra(method: EntraMethod) -> Entra {
    Entra {
        method,
        tenant: Some("tenant".to_owned()),
        client_id: None,
        authority: "https://login.microsoftonline.com".to_owned(),
        ca: None,
        scope: "https://eventgrid.azure.net/.default".to_owned(),
    }
}

#[test]
fn a_machines_own_identity_is_asked_for_with_the_header_that_its_endpoint_wants() {
    let machine = entra(EntraMethod::ManagedIdentity { endpoint: None, header: None });
    let settings = token_settings(&machine).unwrap();
    assert_eq!(
        settings.url.to_string(),
        "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01\
         &resource=https%3A%2F%2Feventgrid.azure.net"
    );
    let Named::Place(headers) = settings.client else { panic!() };
    assert_eq!(headers["metadata"], "true");

    let platform = Entra {
        client_id: Some("mine".to_owned()),
        ..entra(EntraMethod::ManagedIdentity {
            endpoint: Some("http://127.0.0.1:41000/msi/token".to_owned()),
            header: Some(IdentityHeader("geheim".to_owned())),
        })
    };
    let settings = token_settings(&platform).unwrap();
    assert_eq!(
        settings.url.to_string(),
        "http://127.0.0.1:41000/msi/token?api-version=2019-08-01\
         &resource=https%3A%2F%2Feventgrid.azure.net&client_id=mine"
    );
    let Named::Place(headers) = settings.client else { panic!() };
    assert_eq!(headers["x-identity-header"], "geheim");
    assert!(!format!("{headers:?}").contains("geheim"));
}

#[test]
fn a_workload_and_a_client_ask_at_their_tenant_and_their_files_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let workload = entra(EntraMethod::WorkloadIdentity(Some(file.clone())));
    let missing = token_settings(&workload).unwrap_err().to_string();
    assert!(missing.starts_with("eventgrid.entra.token_file: "), "{missing}");
    std::fs::write(&file, "a.b.c").unwrap();
    let settings = token_settings(&workload).unwrap();
    assert_eq!(settings.url, "https://login.microsoftonline.com/tenant/oauth2/v2.0/token");
    assert_eq!(settings.scope.as_deref(), Some("https://eventgrid.azure.net/.default"));
    assert!(matches!(settings.client, Named::Assertion { .. }));
    let client = entra(EntraMethod::ClientSecret(Some(file)));
    assert!(matches!(token_settings(&client).unwrap().client, Named::Secret { .. }));
}
