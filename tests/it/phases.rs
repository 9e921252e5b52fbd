//! Phases for plans: one called `a`, of users of the class `any`.

/// So many users that loop through task and wait.
pub(crate) fn closed(users: u32, duration: &str) -> String {
    format!("[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = {users}\nmix = {{ any = 1 }}\n")
}

/// Tasks that start on a schedule, carried out by at most so many users at once.
pub(crate) fn open(users: u32, duration: &str, arrivals: &str) -> String {
    format!("{}arrivals = \"{arrivals}\"\n", closed(users, duration))
}
