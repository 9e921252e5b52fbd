"""The load of the side-by-side benchmark as Locust users; the command line names the class to run."""

import random

from locust import FastHttpUser, HttpUser, between, task

WORDS = ["printer", "password", "backup", "login", "sound", "network", "screen", "mail"]


def get(user):
    user.client.get("/health")


def post(user):
    """Posts a body with three random values, as `plans/post.toml` does."""
    body = {"query": random.choice(WORDS), "top_k": random.randint(5, 15), "number": random.randint(0, 999_999)}
    user.client.post("/search", json=body)


class FastGet(FastHttpUser):
    tasks = [get]


class FastPost(FastHttpUser):
    tasks = [post]


class FastWaiting(FastHttpUser):
    tasks = [get]
    wait_time = between(30, 40)


class PlainGet(HttpUser):
    tasks = [get]


class PlainPost(HttpUser):
    tasks = [post]
