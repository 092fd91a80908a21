-- Executes several calls of several requests atomically. KEYS are the distinct buckets;
-- ARGV[1] holds the calls, encoded as described in wire.rs. The decisions are those of the
-- modules gcra and sliding of the crate stockade-rate-limit.
--
-- A number in Lua is a double, exact up to 2^53, which is 104 days in nanoseconds. A time is
-- therefore a pair of whole microseconds and the remaining nanoseconds.
--
-- A bucket is stored as packed doubles: the time when it is full, followed by the leased debt
-- and its end if there are leases, and by the longest debt of its quota; or the number of a
-- window, the previous count, and the current count. The last double is the time in
-- milliseconds when the key expires. Values of another length are replaced.

local GCRA = 0
local SETTLE, LEASE = 0, 255
local LONGEST_COUNT = 1048575
local PLAIN_LENGTH, WINDOW_LENGTH, LEASED_LENGTH = 40, 32, 64
-- A key lives longer than needed by as long again, but at least by this time in milliseconds.
-- Meanwhile its value is overwritten in place, at less than half the cost of a command that sets a
-- life.
local SPARE = 1000
-- `unpack` returns a few thousand values at most.
local CHUNK = 1000
local unpack_from, pack, floor, max = struct.unpack, struct.pack, math.floor, math.max

local call = redis.call

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local texts = redis.call('MGET', unpack(KEYS))

-- The buckets by the number of their key, in one table for each field: a table for each bucket
-- would have to be allocated. Only a GCRA bucket has `us`, only a window has `number`.
local us, ns = {}, {}
local top_us, top_ns = {}, {}
local held_us, held_ns, till = {}, {}, {}
local length, number, before, this = {}, {}, {}, {}
local expires, changed = {}, {}

local function within(a_us, a_ns, b_us, b_ns)
  return a_us < b_us or a_us == b_us and a_ns <= b_ns
end

local function plus(a_us, a_ns, b_us, b_ns)
  local sum_us, sum_ns = a_us + b_us, a_ns + b_ns
  if sum_ns >= 1000 then
    return sum_us + 1, sum_ns - 1000
  end
  return sum_us, sum_ns
end

-- Saturates at 0.
local function minus(a_us, a_ns, b_us, b_ns)
  local left_us, left_ns = a_us - b_us, a_ns - b_ns
  if left_ns < 0 then
    left_us, left_ns = left_us - 1, left_ns + 1000
  end
  if left_us < 0 then
    return 0, 0
  end
  return left_us, left_ns
end

-- Leases are debits for later requests: while they may be spent, the debt does not fall below
-- the leased amount.
local function hold(i, debt_us, debt_ns)
  local least = held_us[i]
  if least and within(debt_us, debt_ns, least, held_ns[i]) then
    return least, held_ns[i]
  end
  return debt_us, debt_ns
end

-- The debt of a GCRA bucket. Servers with another quota for it may have written it: while a
-- changed configuration is rolled out, one after the other. Only a debt that is longer than
-- both quotas permit is cut; otherwise the smaller quota would refill the larger one.
local function debt(i, longest_us, longest_ns)
  local debt_us, debt_ns = us[i], ns[i]
  if debt_us then
    return debt_us, debt_ns
  end
  local text, ends, stored_us, stored_ns = texts[i] or '', 0, 0, 0
  debt_us, debt_ns = 0, 0
  if #text == PLAIN_LENGTH then
    debt_us, debt_ns, stored_us, stored_ns, ends = unpack_from('>ddddd', text)
  elseif #text == LEASED_LENGTH then
    local leased_us, leased_ns
    debt_us, debt_ns, leased_us, leased_ns, till[i], stored_us, stored_ns, ends =
      unpack_from('>dddddddd', text)
    if till[i] > now then
      held_us[i], held_ns[i] = leased_us, leased_ns
    end
  end
  debt_us = debt_us - now
  if debt_us < 0 then
    debt_us, debt_ns = 0, 0
  elseif debt_us >= longest_us and not within(debt_us, debt_ns, longest_us, longest_ns) then
    if within(longest_us, longest_ns, stored_us, stored_ns) then
      longest_us, longest_ns = stored_us, stored_ns
    end
    if not within(debt_us, debt_ns, longest_us, longest_ns) then
      -- The clock was set back.
      debt_us, debt_ns, changed[i] = longest_us, longest_ns, true
    end
  end
  -- A value with another longest debt is not overwritten in place.
  local is_same = stored_us == longest_us and stored_ns == longest_ns
  expires[i] = is_same and ends or 0
  top_us[i], top_ns[i] = longest_us, longest_ns
  if held_us[i] then
    debt_us, debt_ns = hold(i, debt_us, debt_ns)
  end
  us[i], ns[i] = debt_us, debt_ns
  return debt_us, debt_ns
end

-- The counts of a sliding window of this length in milliseconds.
local function window(i, ms)
  if number[i] then
    return before[i], this[i]
  end
  local text, stored = texts[i] or '', 0
  before[i], this[i], expires[i] = 0, 0, 0
  length[i], number[i] = ms, floor(now / (ms * 1000))
  local last_before, last_this = 0, 0
  if #text == WINDOW_LENGTH then
    stored, last_before, last_this, expires[i] = unpack_from('>dddd', text)
  end
  local behind = number[i] - stored
  if behind == 1 then
    before[i] = last_this
  elseif behind <= 0 then
    before[i], this[i] = last_before, last_this
    if behind == -1 then
      -- Written by a server with a later clock, which has failed.
      number[i] = stored
    else
      changed[i] = behind < 0
    end
  end
  return before[i], this[i]
end

-- The permits of a sliding window that are in use.
local function used(i)
  local left = length[i] - floor((now - number[i] * length[i] * 1000) / 1000)
  return math.ceil(before[i] * math.min(left, length[i]) / length[i]) + this[i]
end

local calls, at = ARGV[1], 1
local answers, answered = { now }, 1

local function answer(first, second)
  answers[answered + 1], answers[answered + 2] = first, second
  answered = answered + 2
end

-- The prices of this batch: the kind of the bucket, and six numbers.
local kinds, a, b, c, d, most_us, most_ns = {}, {}, {}, {}, {}, {}, {}
local prices
prices, at = unpack_from('>H', calls, at)
for p = 1, prices do
  kinds[p], a[p], b[p], c[p], d[p], most_us[p], most_ns[p], at =
    unpack_from('>Bdddddd', calls, at)
end

local function settle()
  -- An amount and the longest debt; or the length of a window, and a count.
  local back, kind, i, first, second, longest_us, longest_ns
  back, kind, i, first, second, longest_us, longest_ns, at = unpack_from('>BBHdddd', calls, at)
  if kind == GCRA then
    local debt_us, debt_ns = debt(i, longest_us, longest_ns)
    if back == 1 then
      debt_us, debt_ns = hold(i, minus(debt_us, debt_ns, first, second))
    else
      debt_us, debt_ns = plus(debt_us, debt_ns, first, second)
      if not within(debt_us, debt_ns, top_us[i], top_ns[i]) then
        debt_us, debt_ns = top_us[i], top_ns[i]
      end
    end
    us[i], ns[i] = debt_us, debt_ns
  else
    local last, count = window(i, first)
    if back == 1 then
      before[i] = max(last - max(second - count, 0), 0)
      this[i] = max(count - second, 0)
    else
      this[i] = math.min(count + second, LONGEST_COUNT)
    end
  end
  changed[i] = true
end

-- Returns unspent permits and releases held ones; then grants a new lease if there is room. A
-- lease that has ended returns nothing.
local function lease()
  local i, ends, back_us, back_ns, done_us, done_ns, want_us, want_ns, room_us, room_ns,
    half_us, half_ns, longest_us, longest_ns, term, next =
    unpack_from('>Hdddddddddddddd', calls, at)
  at = next
  local debt_us, debt_ns = debt(i, longest_us, longest_ns)
  local granted = false
  if ends == 0 or ends >= now then
    debt_us, debt_ns = minus(debt_us, debt_ns, back_us, back_ns)
    local leased_us, leased_ns = minus(held_us[i] or 0, held_ns[i] or 0, done_us, done_ns)
    granted = (want_us > 0 or want_ns > 0)
      and within(debt_us, debt_ns, room_us, room_ns)
      and within(leased_us, leased_ns, half_us, half_ns)
    if granted then
      debt_us, debt_ns = plus(debt_us, debt_ns, want_us, want_ns)
      leased_us, leased_ns = plus(leased_us, leased_ns, want_us, want_ns)
      till[i] = now + term
    end
    us[i], ns[i], held_us[i], held_ns[i] = debt_us, debt_ns, leased_us, leased_ns
    changed[i] = true
  end
  answer(granted and 1 or 0, debt_us)
  answered = answered + 1
  answers[answered] = debt_ns
end

-- The buckets of the current request, and the price of each.
local taken, price = {}, {}

-- The steps of a take are in no functions, whose calls would add half to its cost. One bucket has
-- a path of its own for a fifth.
local size = #calls
while at <= size do
  local count, i, p, next = unpack_from('>BHH', calls, at)
  if count == SETTLE then
    at = at + 1
    settle()
  elseif count == LEASE then
    at = at + 1
    lease()
  elseif count == 1 and kinds[p] == GCRA then
    at = next
    local debt_us, debt_ns = us[i], ns[i]
    if not debt_us then
      debt_us, debt_ns = debt(i, most_us[p], most_ns[p])
    end
    answers[answered + 1], answers[answered + 2] = debt_us, debt_ns
    answered = answered + 3
    local room = a[p]
    if debt_us < room or debt_us == room and debt_ns <= b[p] then
      answers[answered] = 1
      debt_us, debt_ns = debt_us + c[p], debt_ns + d[p]
      if debt_ns >= 1000 then
        debt_us, debt_ns = debt_us + 1, debt_ns - 1000
      end
      us[i], ns[i], changed[i] = debt_us, debt_ns, true
    else
      answers[answered] = 0
    end
  else
    local allowed = true
    for n = 1, count do
      taken[n], price[n] = i, p
      if kinds[p] == GCRA then
        local debt_us, debt_ns = us[i], ns[i]
        if not debt_us then
          debt_us, debt_ns = debt(i, most_us[p], most_ns[p])
        end
        answers[answered + 1], answers[answered + 2] = debt_us, debt_ns
        local room = a[p]
        if debt_us > room or debt_us == room and debt_ns > b[p] then
          allowed = false
        end
      else
        answers[answered + 1], answers[answered + 2] = window(i, a[p])
        allowed = used(i) <= b[p] and allowed
      end
      answered = answered + 2
      at = next
      if n < count then
        i, p, next = unpack_from('>HH', calls, at)
      end
    end
    answered = answered + 1
    answers[answered] = allowed and 1 or 0
    if allowed then
      for n = 1, count do
        i, p = taken[n], price[n]
        if kinds[p] == GCRA then
          local debt_us, debt_ns = us[i] + c[p], ns[i] + d[p]
          if debt_ns >= 1000 then
            debt_us, debt_ns = debt_us + 1, debt_ns - 1000
          end
          us[i], ns[i] = debt_us, debt_ns
        else
          this[i] = this[i] + c[p]
        end
        changed[i] = true
      end
    end
  end
end

local now_ms = floor(now / 1000)
for i = 1, #KEYS do
  if changed[i] then
    local value, needed
    -- The value is followed by the longest debt, and by the time when the key expires.
    local rest = 24
    local full = us[i]
    if not full then
      rest = 8
      value = pack('>ddd', number[i], before[i], this[i])
      needed = (number[i] + 2) * length[i]
    else
      full = now + full
      needed = full / 1000 + 1
      local ends = till[i]
      if ends and ends > now and (held_us[i] > 0 or held_ns[i] > 0) then
        value = pack('>ddddd', full, ns[i], held_us[i], held_ns[i], ends)
        needed = max(needed, ends / 1000 + 1)
      else
        value = pack('>dd', full, ns[i])
      end
    end
    if needed <= expires[i] and #texts[i] == #value + rest then
      call('SETRANGE', KEYS[i], '0', value)
    else
      local life = floor(needed) - now_ms
      life = life + max(life, SPARE)
      -- The server may have read its clock a moment before this script.
      local expiry = now_ms + life - 2
      if rest == 8 then
        value = value .. pack('>d', expiry)
      else
        value = value .. pack('>ddd', top_us[i], top_ns[i], expiry)
      end
      call('SET', KEYS[i], value, 'PX', life)
    end
  end
end

local packed, chunks = {}, 0
for first = 1, answered, CHUNK do
  local last = math.min(first + CHUNK - 1, answered)
  chunks = chunks + 1
  packed[chunks] = pack('>' .. string.rep('d', last - first + 1), unpack(answers, first, last))
end
return table.concat(packed)
