//! Units of the values in reports.

use crate::units::text_enum;

text_enum! {
    /// The unit of a value.
    pub enum Unit {
        Milliseconds = "ms",
        Seconds = "s",
        Percent = "%",
        PerSecond = "/s",
        Bytes = "B",
        BytesPerSecond = "B/s",
        Count = "count",
        Ratio = "ratio",
    }
}
