//! Phases for plans: one called `a`, of users of the class `any`.

/// A closed phase: each user loops through task and wait.
pub fn closed(users: u32, duration: &str) -> String {
    format!("[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = {users}\nmix = {{ any = 1 }}\n")
}

/// An open phase: tasks start on a schedule, carried out by at most this many users at once.
pub fn open(users: u32, duration: &str, arrivals: &str) -> String {
    format!("{}arrivals = \"{arrivals}\"\n", closed(users, duration))
}
