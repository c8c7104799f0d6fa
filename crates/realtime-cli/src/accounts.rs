//! Accounts with carriers, from the variables of the environment: for requests to them.

use std::collections::BTreeMap;

use realtime_pipeline::carrier_client::CarrierClient;
use realtime_pipeline::media::phone::Requests;
use realtime_telephony::rest::{Account, Login};
use realtime_telephony::{CarrierKind, Secret};

use crate::Error;
use crate::environment::Environment;

/// The accounts with carriers that are known.
pub(crate) type Accounts = BTreeMap<CarrierKind, Requests>;

/// Those of the environment.
pub(crate) fn accounts(environment: &Environment) -> Accounts {
    let known = |kind| Some((kind, requests(kind, environment).ok()?));
    CarrierKind::ALL.into_iter().filter_map(known).collect()
}

/// Requests of the account with a carrier.
///
/// # Errors
/// A variable that is needed is not set, or the carrier takes no requests.
pub(crate) fn requests(kind: CarrierKind, environment: &Environment) -> Result<Requests, Error> {
    let need = |name: &str| environment.require(name, &format!("what {kind} knows this account by"));
    let text = |name: &str| need(name).map(str::to_owned);
    let secret = |name: &str| need(name).map(Secret::new);
    let login = match kind {
        CarrierKind::Twilio => match environment.get("TWILIO_API_KEY") {
            Some(key) => Login::Twilio {
                account_sid: text("TWILIO_ACCOUNT_SID")?,
                key: Some(key.to_owned()),
                secret: secret("TWILIO_API_SECRET")?,
            },
            None => Login::Twilio {
                account_sid: text("TWILIO_ACCOUNT_SID")?,
                key: None,
                secret: secret("TWILIO_AUTH_TOKEN")?,
            },
        },
        CarrierKind::Telnyx => Login::Telnyx {
            api_key: secret("TELNYX_API_KEY")?,
            connection_id: environment.get("TELNYX_CONNECTION_ID").map(str::to_owned),
        },
        CarrierKind::Plivo => {
            Login::Plivo { auth_id: text("PLIVO_AUTH_ID")?, auth_token: secret("PLIVO_AUTH_TOKEN")? }
        }
        CarrierKind::Exotel => Login::Exotel {
            account_sid: text("EXOTEL_ACCOUNT_SID")?,
            api_key: text("EXOTEL_API_KEY")?,
            api_token: secret("EXOTEL_API_TOKEN")?,
        },
        CarrierKind::Vonage => Login::Vonage { token: secret("VONAGE_TOKEN")? },
        CarrierKind::Jambonz => Login::Jambonz {
            account_sid: text("JAMBONZ_ACCOUNT_SID")?,
            api_key: secret("JAMBONZ_API_KEY")?,
            application_sid: environment.get("JAMBONZ_APPLICATION_SID").map(str::to_owned),
        },
        CarrierKind::SignalWire => Login::SignalWire {
            space: text("SIGNALWIRE_SPACE")?,
            project_id: text("SIGNALWIRE_PROJECT_ID")?,
            api_token: secret("SIGNALWIRE_API_TOKEN")?,
        },
        _ => return Err(format!("expected a carrier that takes requests, got {kind}").into()),
    };
    let account = Account::new(login);
    // Regions, and a stand-in of a test, have other addresses.
    let account = match environment.get(&format!("{}_API_URL", kind.name().to_ascii_uppercase())) {
        Some(url) => account.base_url(url),
        None => account,
    };
    Ok(Requests::new(account, CarrierClient::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_for_an_account_is_named() {
        let environment = Environment::of([("TWILIO_ACCOUNT_SID", "AC1")]);
        let error = requests(CarrierKind::Twilio, &environment).unwrap_err().to_string();
        assert_eq!(
            error,
            "expected what twilio knows this account by in the variable TWILIO_AUTH_TOKEN: set it"
        );
        let error = requests(CarrierKind::Genesys, &environment).unwrap_err().to_string();
        assert_eq!(error, "expected a carrier that takes requests, got genesys");
    }

    #[test]
    fn another_address_is_asked_where_one_is_set() {
        let environment =
            Environment::of([("TELNYX_API_KEY", "canary"), ("TELNYX_API_URL", "http://127.0.0.1:1")]);
        let requests = requests(CarrierKind::Telnyx, &environment).unwrap();
        assert_eq!(
            requests.account().hang_up("c").unwrap()[0].url,
            "http://127.0.0.1:1/v2/calls/c/actions/hangup"
        );
        assert!(!format!("{requests:?}").contains("canary"));
    }
}
