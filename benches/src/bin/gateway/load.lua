-- Sends the body in the file BODY with the key KEY, and prints the figures as one line of JSON.
-- With PAUSE, each connection waits for that time on average before a request, in milliseconds.
local file = assert(io.open(os.getenv("BODY"), "rb"))
wrk.body = file:read("*a")
file:close()
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")

local pause = tonumber(os.getenv("PAUSE"))
if pause then
    function delay()
        return math.random(1, 2 * pause - 1)
    end
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests":%d,"micros":%d,"p50":%d,"p99":%d,"failed":%d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
        errors.connect + errors.read + errors.write + errors.status + errors.timeout
    ))
end
