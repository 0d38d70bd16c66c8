-- OmniAudio from Ardour 7 without its window: generates the sound of a 360° clip, and puts it into a session as a
-- four-channel region on a track of its own.
--
--   ardour7-lua ardour.lua SESSION-FOLDER CLIP [PORT [PROGRAM]]
--
-- The session is created if it does not exist; close it in Ardour first. PROGRAM is `omniaudio`, whose `osc-send` speaks
-- to the bridge at PORT. The region begins at the start of the session, and the file stays beside the clip: AmbiX (ACN
-- order W, Y, Z, X; SN3D). Ardour's Lua cannot import a file without a window, so this script writes the region into
-- the closed session's file, and then opens the session to check that Ardour accepts it.

local folder, clip, port, program = arg[1], arg[2], arg[3] or "9000", arg[4] or "omniaudio"
assert(clip, "Name a session's folder and a clip: ardour7-lua ardour.lua SESSION-FOLDER CLIP [PORT [PROGRAM]]")
local name = folder:gsub("/+$", ""):match("[^/]+$")
local file = folder .. "/" .. name .. ".ardour"
local CHANNELS = 4
local SUPERCLOCKS = 282240000 -- per second of audio time, unless the session says otherwise

local function contents(path)
  local opened = io.open(path, "rb")
  if not opened then return nil end
  local text = opened:read("a")
  opened:close()
  return text
end

local function quoted(text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function escaped(text)
  return (text:gsub('[&<>"]', { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

-- The text of a JSON string, which Python writes in ASCII.
local function unescaped(text)
  text = text:gsub("\\u(d[89ab]%x%x)\\u(d[c-f]%x%x)", function(high, low)
    return utf8.char(0x10000 + (tonumber(high, 16) - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00)
  end)
  return (text:gsub("\\u(%x%x%x%x)", function(code) return utf8.char(tonumber(code, 16)) end):gsub('\\(["\\/])', "%1"))
end

-- The length of a WAV file in samples. Its header is exact; the 32-bit duration in OSC is not, for long clips.
local function samples(path)
  local wav = assert(io.open(path, "rb"))
  wav:seek("set", 12)
  local block
  while true do
    local id, size = ("<c4I4"):unpack(wav:read(8))
    if id == "data" then
      wav:close()
      return size // block
    elseif id == "fmt " then
      block = ("<I2"):unpack(wav:read(size), 13)
    else
      wav:seek("cur", size + size % 2)
    end
  end
end

local function generated(rate)
  local words = { program, "osc-send", "--port", port, "--options", ('{"rate": %d}'):format(rate), clip }
  for index, word in ipairs(words) do words[index] = quoted(word) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  local answer = pipe:read("a")
  pipe:close()
  local path = answer:match('"path": "(.-[^\\])"')
  assert(path, "No sound was generated: " .. answer)
  return unescaped(path)
end

-- Adds a track and returns its id.
local function add_track(session, title)
  local order = ARDOUR.PresentationInfo.max_order
  local tracks = session:new_audio_track(CHANNELS, CHANNELS, nil, 1, title, order, ARDOUR.TrackMode.Normal, true)
  return tracks:front():to_stateful():id():to_s()
end

-- Describes each region of a track as Ardour sees it.
local function regions(session, track)
  local said = {}
  for route in session:get_tracks():iter() do
    if route:to_stateful():id():to_s() == track then
      for region in route:to_track():playlist():region_list():iter() do
        local channels, length = region:to_audioregion():n_channels(), region:length():samples()
        said[#said + 1] = ("%d channels, %d samples"):format(channels, length)
      end
    end
  end
  return table.concat(said, "; ")
end

-- Lua must not hold references to a session that Ardour destroys.
local function close()
  collectgarbage()
  collectgarbage()
  close_session()
end

local function add_region(track, path, rate)
  local text = assert(contents(file))
  local id = math.tointeger(tonumber(text:match('id%-counter="(%d+)"')))
  local clocks = math.tointeger(tonumber(text:match('superclocks%-per%-second="(%d+)"'))) or SUPERCLOCKS
  local sources, uses = {}, {}
  for channel = 0, CHANNELS - 1 do
    sources[#sources + 1] = ('<Source name="%s" take-id="" type="audio" flags="" id="%d" channel="%d" origin="%s"/>')
      :format(escaped(path), id + channel, channel, escaped(path))
    uses[#uses + 1] = ('source-%d="%d" master-source-%d="%d"'):format(channel, id + channel, channel, id + channel)
  end
  local region = ('<Region name="%s" start="a0" length="a%d@a0" id="%d" type="audio" channels="%d" %s/>'):format(
    escaped(path:match("([^/]+)%.wav$") or "AmbiX"), samples(path) * clocks // rate, id + CHANNELS, CHANNELS,
    table.concat(uses, " "))
  local function replaced(pattern, by)
    local count
    text, count = text:gsub(pattern, by, 1)
    assert(count == 1, "This session's file is not as Ardour 7 writes it: there is no " .. pattern)
  end
  replaced('id%-counter="%d+"', ('id-counter="%d"'):format(id + CHANNELS + 1))
  local listed = table.concat(sources)
  if text:find("<Sources/>", 1, true) then
    replaced("<Sources/>", function() return "<Sources>" .. listed .. "</Sources>" end)
  else
    replaced("</Sources>", function() return listed .. "</Sources>" end)
  end
  replaced('(<Playlist [^>]*orig%-track%-id="' .. track .. '"[^>]*)/>', function(head)
    return head .. ">" .. region .. "</Playlist>"
  end)
  local partial = assert(io.open(file .. ".partial", "wb"))
  assert(partial:write(text))
  partial:close()
  assert(os.rename(file .. ".partial", file))
end

local known = contents(file)
local rate = known and tonumber(known:match('sample%-rate="(%d+)"')) or 48000
local path = generated(rate)

AudioEngine:set_backend("None (Dummy)", "Unit-Test", "")
AudioEngine:set_sample_rate(rate)
AudioEngine:start(false)
local session = known and load_session(folder, name) or create_session(folder, name, rate)
assert(session, "The session cannot be opened: " .. folder)
local track = add_track(session, "Spatial audio (AmbiX)")
session:save_state("", false, false, false, false, false)
session = nil
close()
add_region(track, path, rate)

session = assert(load_session(folder, name), "Ardour cannot open the session: " .. file)
local said = regions(session, track)
session = nil
close()
print(("done: %s (%s)"):format(path, said))
quit()
