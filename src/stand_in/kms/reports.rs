//! The service's reports about itself: health, statistics, syncs and performance.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::stand_in::kms::{Kms, locked};

const MODEL: &str = "hashed-words-128";
const MIB: f64 = 1_048_576.0;
const SYNC_EVERY: SignedDuration = SignedDuration::from_mins(15);

impl Kms {
    pub(super) fn health(&self) -> Value {
        let ready = self.index_ready();
        json!({
            "status": if ready { "healthy" } else { "degraded" },
            "vector_db_ready": ready,
            "total_vectors": self.vectors(),
            "model_name": MODEL,
        })
    }

    pub(super) fn health_detailed(&self) -> Value {
        let ready = self.index_ready();
        let searches = *locked(&self.searches);
        let alerts = if ready { json!([]) } else { json!(["vector index is not ready"]) };
        json!({
            "timestamp": Timestamp::now().to_string(),
            "status": if ready { "healthy" } else { "degraded" },
            "checks": {
                "system": { "status": "healthy", "uptime_seconds": self.started.elapsed().as_secs_f64() },
                "index": { "status": if ready { "healthy" } else { "unhealthy" }, "total_vectors": self.vectors() },
                "performance": { "status": "healthy", "searches": searches.count },
                "data": { "status": "healthy", "total_cases": self.index.len() },
            },
            "alerts": alerts,
        })
    }

    pub(super) fn stats(&self) -> Value {
        json!({
            "is_trained": self.index_ready(),
            "total_vectors": self.vectors(),
            "model_name": MODEL,
            "index_type": "flat",
            "dimension": self.index.dimension(),
            "memory_usage_mb": self.memory_mb(),
            "last_updated": locked(&self.syncs).last.unwrap_or(self.built).to_string(),
        })
    }

    pub(super) fn sync_status(&self) -> Value {
        let syncs = locked(&self.syncs);
        json!({
            "stats": {
                "last_sync": syncs.last.map(|last| last.to_string()),
                "total_cases_synced": self.index.len(),
                "total_syncs": syncs.begun,
                "sync_running": syncs.running(),
            },
            "validation": {
                "is_valid": true,
                "checks": { "index_matches_cases": true },
                "warnings": [],
                "errors": [],
            },
            "scheduler_running": true,
        })
    }

    pub(super) fn scheduler_jobs(&self) -> Value {
        let syncs = locked(&self.syncs);
        json!([{
            "id": "incremental-sync",
            "name": "Incremental sync",
            "description": "Fetches the cases that changed since the last sync",
            "enabled": true,
            "schedule": "*/15 * * * *",
            "last_run": syncs.last.map(|last| last.to_string()),
            "next_run": (syncs.last.unwrap_or(self.built) + SYNC_EVERY).to_string(),
            "status": match () {
                () if syncs.running() => "running",
                () if syncs.failed() => "error",
                () => "idle",
            },
            "last_success": syncs.last.filter(|_| !syncs.failed()).map(|last| last.to_string()),
            "last_error": syncs.failed().then_some("the sync failed"),
        }])
    }

    pub(super) fn performance_report(&self) -> Value {
        let searches = *locked(&self.searches);
        let average = searches.spent.as_secs_f64() * 1e3 / searches.count.max(1) as f64;
        json!({
            "report_generated": Timestamp::now().to_string(),
            "system_performance": {
                "uptime_seconds": self.started.elapsed().as_secs_f64(),
                "memory_usage_mb": self.memory_mb(),
            },
            "api_performance": { "total_searches": searches.count, "average_search_time_ms": average },
            "vector_operations": { "total_vectors": self.vectors(), "dimension": self.index.dimension() },
        })
    }

    fn vectors(&self) -> usize {
        if self.index_ready() { self.index.len() } else { 0 }
    }

    /// The memory of the index and of all kept bytes, in MiB.
    fn memory_mb(&self) -> f64 {
        let kept: usize = locked(&self.kept).iter().map(|kept| kept.len()).sum();
        (self.index.bytes() + kept) as f64 / MIB
    }
}
