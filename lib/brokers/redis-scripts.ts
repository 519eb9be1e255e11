import { createHash } from 'node:crypto';

/** What Redis runs in one step, and by which name it knows it. */
export interface RedisScript {
  readonly source: string;
  /** The name for EVALSHA. */
  readonly sha: string;
}

// All take the keys of one topic (KEYS: its top, its messages), and as the first arguments
//   1 the run id of the server that runs them, 2 an epoch that nobody has had, 3 for how long the top is kept, in ms.
//
// An epoch ends with its server: what another one has of the topic may lack the last messages, of which nobody can tell
// any more, and it would give their offsets to others. The offset goes on, and what is kept stays readable.
const FIND_TOP = `
local top = redis.call('HMGET', KEYS[1], 'epoch', 'run', 'offset')
local epoch, offset = top[1], top[3]
if not offset then
  redis.call('DEL', KEYS[2])
  offset = '0'
end
if top[2] ~= ARGV[1] then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'run', ARGV[1], 'offset', offset)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
`;

/** Returns `epoch.offset`. */
export const TOP_SCRIPT: RedisScript = script(`${FIND_TOP}
return epoch .. '.' .. offset
`);

/**
 * Orders a message, keeps it and passes it on: all or nothing. The third key, if there is one, is that of its id.
 * ARGV: 4 the data, 5 the channel, 6 PUBLISH or SPUBLISH, 7 how many messages are kept, 8 for how long, 9 for how long the
 * id is known, both in ms. Returns `epoch.offset`.
 */
export const PUBLISH_SCRIPT: RedisScript = script(`
local known = KEYS[3] and redis.call('GET', KEYS[3])
if known then return known end
${FIND_TOP}
offset = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'offset', 1))
local place = epoch .. '.' .. offset
if ARGV[7] ~= '0' then
  local now = redis.call('TIME')
  local id = string.format('%s-%s%03d', offset, now[1], math.floor(now[2] / 1000))
  redis.call('XADD', KEYS[2], 'MAXLEN', ARGV[7], id, 'd', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[8])
end
if KEYS[3] then redis.call('SET', KEYS[3], place, 'PX', ARGV[9]) end
redis.call(ARGV[6], ARGV[5], '\\1\\1' .. place .. '\\n' .. ARGV[4])
return place
`);

/**
 * Reads messages behind an offset. An entry's id is its offset and the time at which it came; those that are too old at the
 * beginning are left out. ARGV: 4 the offset, 5 how many at most, 6 for how long they are kept, in ms.
 * Returns `epoch.offset`, and then an offset and the data for each.
 */
export const READ_SCRIPT: RedisScript = script(`${FIND_TOP}
local now = redis.call('TIME')
local oldest = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[6]
local after, limit, found = tonumber(ARGV[4]), tonumber(ARGV[5]), { epoch .. '.' .. offset }
repeat
  local rows = redis.call('XRANGE', KEYS[2], string.format('%.0f-0', after + 1), '+', 'COUNT', limit)
  for _, row in ipairs(rows) do
    local at, time = string.match(row[1], '(%d+)-(%d+)')
    after = tonumber(at)
    if #found < 2 * limit and (#found > 1 or tonumber(time) > oldest) then
      found[#found + 1] = at
      found[#found + 1] = row[2][2]
    end
  end
until #found > 2 * limit or #rows < limit
return found
`);

function script(source: string): RedisScript {
  return { source, sha: createHash('sha1').update(source).digest('hex') };
}
