-- Executes several calls of several requests atomically. KEYS are the distinct buckets;
-- ARGV[1] holds the calls, encoded as described in wire.rs. The decisions are those of the
-- modules gcra and sliding of the crate stockade-rate-limit.
--
-- A number in Lua is a double, exact up to 2^53, which is 104 days in nanoseconds. A time is
-- therefore a pair of whole microseconds and the remaining nanoseconds.
--
-- A bucket is stored as packed doubles: the time when it is full, followed by the leased debt
-- and its end if there are leases; or the number of a window, the previous count, and the
-- current count. Values of another length are replaced.

local GCRA = 0
local SETTLE, LEASE = 0, 255
local LONGEST_COUNT = 1048575
local unpack_from, pack, floor = struct.unpack, struct.pack, math.floor

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local texts = redis.call('MGET', unpack(KEYS))
local buckets = {}

local function plus(it, us, ns)
  it.us, it.ns = it.us + us, it.ns + ns
  if it.ns >= 1000 then
    it.us, it.ns = it.us + 1, it.ns - 1000
  end
end

-- Saturates at 0.
local function minus(it, us, ns)
  it.us, it.ns = it.us - us, it.ns - ns
  if it.ns < 0 then
    it.us, it.ns = it.us - 1, it.ns + 1000
  end
  if it.us < 0 then
    it.us, it.ns = 0, 0
  end
end

local function within(it, us, ns)
  return it.us < us or it.us == us and it.ns <= ns
end

-- Leases are debits for later requests: while they may be spent, the debt does not fall below
-- the leased amount.
local function hold(it)
  if it.held_us and within(it, it.held_us, it.held_ns) then
    it.us, it.ns = it.held_us, it.held_ns
  end
end

-- The debt of a GCRA bucket.
local function debt(i, longest_us, longest_ns)
  if buckets[i] then
    return buckets[i]
  end
  local text, it = texts[i] or '', { us = 0, ns = 0, till = 0 }
  if #text == 16 then
    it.us, it.ns = unpack_from('>dd', text)
  elseif #text == 40 then
    local held_us, held_ns
    it.us, it.ns, held_us, held_ns, it.till = unpack_from('>ddddd', text)
    if it.till > now then
      it.held_us, it.held_ns = held_us, held_ns
    end
  end
  it.us = it.us - now
  if it.us < 0 then
    it.us, it.ns = 0, 0
  elseif not within(it, longest_us, longest_ns) then
    -- The clock was set back.
    it.us, it.ns, it.changed = longest_us, longest_ns, true
  end
  hold(it)
  buckets[i] = it
  return it
end

-- The counts of a sliding window; the length is in milliseconds.
local function window(i, length)
  local it = buckets[i]
  if it then
    return it
  end
  local number = floor(now / (length * 1000))
  local text, stored, before, this = texts[i] or '', 0, 0, 0
  if #text == 24 then
    stored, before, this = unpack_from('>ddd', text)
  end
  local behind = number - stored
  it = { length = length, number = number, before = 0, this = 0 }
  it.left = length - floor((now - number * length * 1000) / 1000)
  if behind == 1 then
    it.before = this
  elseif behind <= 0 then
    it.before, it.this = before, this
    if behind == -1 then
      -- Written by a server with a later clock, which has failed.
      it.number, it.left = number + 1, length
    else
      it.changed = behind < 0
    end
  end
  buckets[i] = it
  return it
end

local function used(it)
  return math.ceil(it.before * it.left / it.length) + it.this
end

local calls, at = ARGV[1], 1
local answers, answered = { pack('>d', now) }, 1

local function answer(text)
  answered = answered + 1
  answers[answered] = text
end

-- The buckets of the current request, and the debit of each.
local taken, price, price_ns = {}, {}, {}

local function take(count)
  local allowed = true
  for n = 1, count do
    local kind, i, a, b, c, d, longest_us, longest_ns, next =
      unpack_from('>BHdddddd', calls, at)
    at, price[n], price_ns[n] = next, c, d
    if kind == GCRA then
      local it = debt(i, longest_us, longest_ns)
      taken[n] = it
      allowed = within(it, a, b) and allowed
      answer(pack('>dd', it.us, it.ns))
    else
      local it = window(i, a)
      taken[n] = it
      allowed = used(it) <= b and allowed
      answer(pack('>dd', it.before, it.this))
    end
  end
  answer(allowed and '\1' or '\0')
  if not allowed then
    return
  end
  for n = 1, count do
    local it = taken[n]
    if it.length then
      it.this = it.this + price[n]
    else
      plus(it, price[n], price_ns[n])
    end
    it.changed = true
  end
end

local function settle()
  local back, kind, i, a, b, c, d, next = unpack_from('>BBHdddd', calls, at)
  at = next
  local it
  if kind == GCRA then
    it = debt(i, c, d)
    if back == 1 then
      minus(it, a, b)
      hold(it)
    else
      plus(it, a, b)
      if not within(it, c, d) then
        it.us, it.ns = c, d
      end
    end
  else
    it = window(i, a)
    if back == 1 then
      it.before = math.max(it.before - math.max(b - it.this, 0), 0)
      it.this = math.max(it.this - b, 0)
    else
      it.this = math.min(it.this + b, LONGEST_COUNT)
    end
  end
  it.changed = true
end

-- Returns unspent permits and releases held ones; then grants a new lease if there is room. A
-- lease that has ended returns nothing.
local function lease()
  local i, ends, back_us, back_ns, done_us, done_ns, want_us, want_ns, room_us, room_ns,
    most_us, most_ns, longest_us, longest_ns, term, next =
    unpack_from('>Hdddddddddddddd', calls, at)
  at = next
  local it, granted = debt(i, longest_us, longest_ns), false
  if ends == 0 or ends >= now then
    local held = { us = it.held_us or 0, ns = it.held_ns or 0 }
    minus(it, back_us, back_ns)
    minus(held, done_us, done_ns)
    granted = (want_us > 0 or want_ns > 0)
      and within(it, room_us, room_ns)
      and within(held, most_us, most_ns)
    if granted then
      plus(it, want_us, want_ns)
      plus(held, want_us, want_ns)
      it.till = now + term
    end
    it.held_us, it.held_ns, it.changed = held.us, held.ns, true
  end
  answer(pack('>Bdd', granted and 1 or 0, it.us, it.ns))
end

while at <= #calls do
  local count, next = unpack_from('B', calls, at)
  at = next
  if count == SETTLE then
    settle()
  elseif count == LEASE then
    lease()
  else
    take(count)
  end
end

for i, it in pairs(buckets) do
  if it.changed then
    local text, until_ms
    if it.length then
      text = pack('>ddd', it.number, it.before, it.this)
      until_ms = (it.number + 2) * it.length - floor(now / 1000)
    elseif it.till > now and (it.held_us > 0 or it.held_ns > 0) then
      text = pack('>ddddd', now + it.us, it.ns, it.held_us, it.held_ns, it.till)
      until_ms = math.ceil(math.max(it.us + 1, it.till - now) / 1000)
    else
      text = pack('>dd', now + it.us, it.ns)
      until_ms = math.ceil((it.us + 1) / 1000)
    end
    redis.call('SET', KEYS[i], text, 'PX', until_ms)
  end
end
return table.concat(answers)
