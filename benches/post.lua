-- A script for wrk: posts a body with three random values, as `plans/post.toml` does.

local words = { "printer", "password", "backup", "login", "sound", "network", "screen", "mail" }

wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

function init()
    math.randomseed(os.time())
end

function request()
    local body = string.format('{"query":"%s","top_k":%d,"number":%d}',
        words[math.random(#words)], math.random(5, 15), math.random(0, 999999))
    return wrk.format(nil, "/search", nil, body)
end
