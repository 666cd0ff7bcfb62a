use std::ops::Deref;

use crate::Run;
use crate::server::{folder, on_free_port};
use crate::stand_in::{StandIn, python};

/// A server that stands in for KMS of Huawei Cloud. Huawei's own client takes it for real ([`HuaweiKms::sdk`]), and so does
/// sops.
pub struct HuaweiKms(StandIn);

impl HuaweiKms {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        on_free_port(|port| {
            let server = StandIn::start(folder("huawei-kms"), include_str!("huawei_kms.py"), port, &[]);
            server.map(Self)
        })
    }

    /// The ID of a key.
    pub fn key(&self, number: usize) -> String {
        format!("tr-west-1:{}", self.uuid(number))
    }

    /// The same without its region.
    pub fn uuid(&self, number: usize) -> String {
        format!("0d0466b0-e727-4d9c-b35d-{number:012x}")
    }

    /// A program that finds KMS here, and no credentials.
    pub fn beside(&self, run: Run) -> Run {
        run.env("HUAWEICLOUD_SDK_REGION_KMS_TR_WEST_1", self.address())
    }

    /// A program that finds KMS here, and an access key in its environment.
    pub fn serve(&self, run: Run) -> Run {
        let run = self.beside(run).env("HUAWEICLOUD_SDK_PROJECT_ID", "project1");
        run.env("HUAWEICLOUD_SDK_AK", "ACCESS").env("HUAWEICLOUD_SDK_SK", "PLANTED-sk")
    }

    /// What a script in Python says that is run with Huawei's own client; `ENDPOINT` in it is this server.
    #[track_caller]
    pub fn sdk(&self, script: &str) -> String {
        python(&["huaweicloud-kms", "moto"], &[], &script.replace("ENDPOINT", &self.address()))
    }
}

impl Deref for HuaweiKms {
    type Target = StandIn;

    fn deref(&self) -> &StandIn {
        &self.0
    }
}
