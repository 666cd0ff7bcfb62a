//! Functions that exist elsewhere and not here, each with the reason.

/// A Secret that is made again must come out the same, or each look at the object would change it.
const RANDOM: &str =
    "the function {} is refused: it is random, so each run of the template would make another Secret";
const TIME: &str = "the function {} is refused: it depends on the clock or the time zone, so the Secret would change by itself";
const OUTSIDE: &str = "the function {} is refused: a template reads nothing but the items of its own object";
const KEYS: &str = "the function {} is refused: a template makes no keys, certificates or ciphertexts";
const CALL: &str = "the function {} is refused: the values of a template hold no functions";
const HELM: &str =
    "there is no function {}: it is one of Helm's or of External Secrets', and not of sealed-secrets'";

/// Why a function is not there, if it is one of those that are left out.
pub fn reason(name: &str) -> Option<&'static str> {
    let what = match name {
        "bcrypt" | "htpasswd" | "randAlpha" | "randAlphaNum" | "randAscii" | "randBytes" | "randInt"
        | "randNumeric" | "shuffle" | "uuidv4" => RANDOM,
        "ago" | "date" | "dateInZone" | "dateModify" | "date_in_zone" | "date_modify" | "htmlDate"
        | "htmlDateInZone" | "mustDateModify" | "mustToDate" | "must_date_modify" | "now" | "toDate"
        | "unixEpoch" => TIME,
        "env" | "expandenv" | "getHostByName" | "lookup" | "getSecretKey" => OUTSIDE,
        "buildCustomCert"
        | "decryptAES"
        | "derivePassword"
        | "encryptAES"
        | "genCA"
        | "genCAWithKey"
        | "genPrivateKey"
        | "genSelfSignedCert"
        | "genSelfSignedCertWithKey"
        | "genSignedCert"
        | "genSignedCertWithKey" => KEYS,
        "call" => CALL,
        "toYaml"
        | "toYamlPretty"
        | "fromYaml"
        | "fromYamlArray"
        | "fromJsonArray"
        | "toToml"
        | "fromToml"
        | "include"
        | "tpl"
        | "required"
        | "pkcs12key"
        | "pkcs12keyPass"
        | "pkcs12cert"
        | "pkcs12certPass"
        | "pemToPkcs12"
        | "pemToPkcs12Pass"
        | "fullPemToPkcs12"
        | "fullPemToPkcs12Pass"
        | "pemTruststoreToPKCS12"
        | "filterPEM"
        | "filterCertChain"
        | "certSANs"
        | "jwkPublicKeyPem"
        | "jwkPrivateKeyPem"
        | "rsaDecrypt" => HELM,
        _ => return None,
    };
    Some(what)
}
