//! Imports bans.

use std::{collections::HashSet, time::Duration};

use serde::Deserialize;
use stockade_abuse::Offender;
use utoipa::ToSchema;

use super::Part;
use crate::{
    error::{ApiError, ApiResult},
    state::AdminState,
    time,
};

#[derive(Deserialize, ToSchema)]
pub(super) struct BanImport {
    target: String,
    until: Option<String>,
    reason: String,
}

pub(super) type NewBan = (Offender, Option<Duration>, String);

/// The bans that are neither over nor there.
pub(super) fn parse(
    state: &AdminState,
    imports: &[BanImport],
    part: &mut Part,
) -> ApiResult<Vec<NewBan>> {
    let Some(detector) = &state.0.detector else {
        part.skipped
            .extend(imports.iter().map(|ban| ban.target.clone()));
        return Ok(Vec::new());
    };
    let present: HashSet<_> = detector
        .bans()
        .into_iter()
        .map(|ban| ban.offender)
        .collect();
    let mut bans = Vec::new();
    for (at, import) in imports.iter().enumerate() {
        let invalid =
            |field: &str, text: String| ApiError::invalid(format!("bans[{at}].{field}"), text);
        let target: Offender = import
            .target
            .parse()
            .map_err(|error: stockade_abuse::OffenderError| invalid("target", error.to_string()))?;
        if import.reason.len() > 200 || import.reason.contains(char::is_control) {
            return Err(invalid(
                "reason",
                "must have up to 200 bytes on one line".to_owned(),
            ));
        }
        let left = match &import.until {
            Some(until) => {
                let until = time::parse(until)
                    .ok_or_else(|| invalid("until", "must be a time".to_owned()))?;
                Some(until - state.now())
            }
            None => None,
        };
        if present.contains(&target) || left.is_some_and(|left| left <= 0) {
            part.skipped.push(import.target.clone());
            continue;
        }
        let length = left.map(|left| Duration::from_millis(left.unsigned_abs()));
        bans.push((target, length, import.reason.clone()));
        part.created.push(import.target.clone());
    }
    Ok(bans)
}
