//! Phases for plans: each is called `a` and has users of the class `any`.

/// A closed phase: each user repeats task and wait.
pub fn closed(users: u32, duration: &str) -> String {
    format!("[[phases]]\nname = \"a\"\nduration = \"{duration}\"\nusers = {users}\nmix = {{ any = 1 }}\n")
}

/// An open phase: tasks start on a schedule, and at most this many users perform them at once.
pub fn open(users: u32, duration: &str, arrivals: &str) -> String {
    format!("{}arrivals = \"{arrivals}\"\n", closed(users, duration))
}
