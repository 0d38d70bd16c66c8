-- @description Generate spatial audio for a 360° video
-- @author OmniAudio for Blender
-- @version 0.1.0
-- @about
--   # Generate spatial audio
--
--   Generates first-order ambisonics (AmbiX) for the 360° video of the selected item, or for the part of it inside the
--   time selection, and puts it on a new 4-channel track below, with a binaural preview on a second one.
--
--   Needs the OmniAudio service (`omniaudio serve`) and its OSC bridge (`omniaudio osc`) on this machine. With LuaSocket
--   (from ReaPack) the script speaks OSC itself; without it, it starts `omniaudio osc-send`, which must be on the PATH
--   or named in the dialog.
-- @license GPL-3.0-or-later

local PREFIX = "/omniaudio/"
local SECTION = "OmniAudio" -- of REAPER's extended state, which keeps the last values of the dialog
local ASK_SECONDS = 1.0 -- a request without an answer is repeated: datagrams get lost
local PATIENCE_SECONDS = 30.0 -- without an answer
local TITLE = "Generate spatial audio"

------------------------------------------------------------------------------------------------------------------------
-- JSON, for the result file of osc-send

local json = {}

-- The value of a JSON text: tables, strings, numbers, booleans; null is nil. Raises an error if it is invalid.
function json.read(text)
  local at = 1
  local value

  local function skip() at = text:find("%S", at) or #text + 1 end

  local function expect(character)
    skip()
    if text:sub(at, at) ~= character then error("no JSON at " .. at) end
    at = at + 1
  end

  local function string_()
    expect('"')
    local parts = {}
    while true do
      local plain, stop = text:match('^([^"\\]*)(["\\])', at)
      if not plain then error("a text without an end") end
      parts[#parts + 1] = plain
      at = at + #plain + 1
      if stop == '"' then return table.concat(parts) end
      local escape = text:sub(at, at)
      if escape == "u" then
        local code = tonumber(text:sub(at + 1, at + 4), 16)
        at = at + 5
        if code >= 0xD800 and code < 0xDC00 and text:sub(at, at + 1) == "\\u" then -- a surrogate pair
          code = 0x10000 + (code - 0xD800) * 0x400 + tonumber(text:sub(at + 2, at + 5), 16) - 0xDC00
          at = at + 6
        end
        parts[#parts + 1] = utf8.char(code)
      else
        parts[#parts + 1] = ({ n = "\n", r = "\r", t = "\t", b = "\b", f = "\f" })[escape] or escape
        at = at + 1
      end
    end
  end

  local function sequence(close, item)
    local result = {}
    at = at + 1
    skip()
    if text:sub(at, at) == close then
      at = at + 1
      return result
    end
    repeat
      item(result)
      skip()
      local comma = text:sub(at, at) == ","
      if comma then at = at + 1 end
    until not comma
    expect(close)
    return result
  end

  function value()
    skip()
    local first = text:sub(at, at)
    if first == '"' then return string_() end
    if first == "{" then
      return sequence("}", function(result)
        local key = string_()
        expect(":")
        result[key] = value()
      end)
    end
    if first == "[" then return sequence("]", function(result) result[#result + 1] = value() end) end
    for word, meaning in pairs({ ["true"] = true, ["false"] = false, null = "null" }) do
      if text:sub(at, at + #word - 1) == word then
        at = at + #word
        if meaning == "null" then return nil end
        return meaning
      end
    end
    local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
    if not number then error("no JSON at " .. at) end
    at = at + #number
    return tonumber(number)
  end

  return value()
end

------------------------------------------------------------------------------------------------------------------------
-- OSC 1.0: strings, integers, floats

local osc = {}

local function padded(text) return text .. ("\0"):rep(4 - #text % 4) end

function osc.message(verb, ...)
  local tags, values = ",", ""
  for _, value in ipairs({ ... }) do
    if math.type(value) == "integer" then
      tags, values = tags .. "i", values .. (">i4"):pack(value)
    elseif math.type(value) == "float" then
      tags, values = tags .. "f", values .. (">f"):pack(value)
    else
      tags, values = tags .. "s", values .. padded(value)
    end
  end
  return padded(PREFIX .. verb) .. padded(tags) .. values
end

-- The verb and the arguments of a message; nil if it is not from the bridge.
function osc.read(packet)
  local function string_(at)
    local stop = packet:find("\0", at, true)
    if not stop then return nil, #packet + 1 end
    return packet:sub(at, stop - 1), at + (stop - at) // 4 * 4 + 4
  end

  local address, at = string_(1)
  local tags
  if not address or address:sub(1, #PREFIX) ~= PREFIX then return nil end
  tags, at = string_(at)
  local values = {}
  for tag in (tags or ""):sub(2):gmatch(".") do
    if tag == "s" then
      values[#values + 1], at = string_(at)
    elseif (tag == "i" or tag == "f") and at + 3 <= #packet then
      values[#values + 1], at = (tag == "i" and ">i4" or ">f"):unpack(packet, at)
    else
      return nil
    end
  end
  return address:sub(#PREFIX + 1), values
end

------------------------------------------------------------------------------------------------------------------------
-- Connections to the bridge. Each has poll(state), which reads new messages into the state, cancel() and close().

-- The state of a request: state (sent, accepted, running, done, failed), stage, fraction, seconds_left, takes, message.
local function new_state(wanted)
  return { state = "sent", stage = "waiting", fraction = 0, seconds_left = -1, takes = {}, wanted = wanted }
end

local function take_in(state, id, verb, values)
  if values[1] ~= id then return end
  if verb == "accepted" and state.state == "sent" then
    state.state = "accepted"
  elseif verb == "progress" then
    state.state, state.fraction, state.stage, state.seconds_left = "running", values[2], values[3], values[4]
  elseif verb == "done" then
    state.takes[values[2]] = { path = values[3], duration = values[7], preview = values[8] }
    for take = 1, state.wanted do -- they may come in any order, and one may be lost
      if not state.takes[take] then return end
    end
    state.state = "done"
  elseif verb == "fail" then
    state.state, state.message = "failed", values[3]
  end
end

local function by_socket(socket, request)
  local udp = assert(socket.udp())
  assert(udp:setpeername("127.0.0.1", request.port)) -- replies come to the socket's own port
  udp:settimeout(0)
  local message = osc.message("generate", request.id, request.video, request.options)
  udp:send(message)
  local heard, asked = reaper.time_precise(), reaper.time_precise()
  return {
    poll = function(state)
      local packet = udp:receive()
      while packet do
        local verb, values = osc.read(packet)
        if verb then
          heard = reaper.time_precise()
          take_in(state, request.id, verb, values)
        end
        packet = udp:receive()
      end
      local now = reaper.time_precise()
      if now - heard > PATIENCE_SECONDS then
        state.state, state.message = "failed", "The OSC bridge does not answer: start it with “omniaudio osc”."
      elseif now - math.max(heard, asked) > ASK_SECONDS then
        asked = now
        udp:send(message)
      end
    end,
    cancel = function() udp:send(osc.message("cancel", request.id)) end,
    close = function()
      udp:send(osc.message("ack", request.id))
      udp:close()
    end,
  }
end

local function quoted(text)
  if reaper.GetOS():find("^Win") then return '"' .. text:gsub('(\\*)"', '%1%1\\"'):gsub("(\\+)$", "%1%1") .. '"' end
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function by_program(request)
  local result = reaper.GetResourcePath() .. "/omniaudio-" .. request.id .. ".json"
  local script = reaper.GetResourcePath() .. "/omniaudio-" .. request.id .. ".sh"
  local words = { request.program, "osc-send", "--id", request.id, "--port", tostring(math.tointeger(request.port)) }
  local function start(...)
    local line = {}
    for _, word in ipairs(words) do line[#line + 1] = quoted(word) end
    for _, word in ipairs({ ... }) do line[#line + 1] = quoted(word) end
    local command = table.concat(line, " ")
    if not reaper.GetOS():find("^Win") then
      -- REAPER splits a command line in its own way; a shell's way is known, so the shell gets it in a file.
      local file = assert(io.open(script, "wb"))
      file:write("exec ", command, "\n")
      file:close()
      command = '/bin/sh "' .. script .. '"'
    end
    reaper.ExecProcess(command, -1)
  end
  start("--options", request.options, "--result", result, request.video)
  local began = reaper.time_precise()
  return {
    poll = function(state)
      local file = io.open(result, "rb")
      if not file then
        if reaper.time_precise() - began > PATIENCE_SECONDS then
          state.state = "failed"
          state.message = "“" .. request.program .. "” could not be started: enter the program's full path."
        end
        return
      end
      local good, told = pcall(json.read, file:read("a"))
      file:close()
      if not good or type(told) ~= "table" then return end
      state.stage, state.fraction, state.seconds_left = told.stage, told.fraction, told.seconds_left
      state.message, state.state = told.message, told.state
      for _, take in ipairs(told.takes) do state.takes[math.tointeger(take.take)] = take end
    end,
    cancel = function() start("--cancel") end,
    close = function()
      os.remove(result)
      os.remove(script)
    end,
  }
end

------------------------------------------------------------------------------------------------------------------------
-- The request

-- The selected item's video and the selected part of it, or nil and a message.
local function selection()
  local item = reaper.GetSelectedMediaItem(0, 0)
  local take = item and reaper.GetActiveTake(item)
  if not take then return nil, "Select the item of a 360° video first." end
  local source = reaper.GetMediaItemTake_Source(take)
  local parent = reaper.GetMediaSourceParent(source)
  if parent then return nil, "The item is a section of its source, or reversed: make it an ordinary item first." end
  if math.abs(reaper.GetMediaItemTakeInfo_Value(take, "D_PLAYRATE") - 1) > 1e-9 then
    return nil, "The item is played faster or slower: set its play rate to 1 first."
  end
  local video = reaper.GetMediaSourceFileName(source, "")
  if video == "" then return nil, "The item has no file: select the item of a 360° video." end
  local position = reaper.GetMediaItemInfo_Value(item, "D_POSITION")
  local stop = position + reaper.GetMediaItemInfo_Value(item, "D_LENGTH")
  local offset = reaper.GetMediaItemTakeInfo_Value(take, "D_STARTOFFS")
  local from, to = reaper.GetSet_LoopTimeRange(false, false, 0, 0, false)
  if to <= from or to <= position or from >= stop then
    from, to = position, stop
  end
  from, to = math.max(from, position), math.min(to, stop)
  local start = offset + from - position
  if start < 0 then return nil, "The item begins before its video does: trim its beginning first." end
  local track = reaper.GetMediaItem_Track(item)
  return {
    video = video,
    position = from,
    start = start,
    duration = to - from,
    below = math.tointeger(reaper.GetMediaTrackInfo_Value(track, "IP_TRACKNUMBER")),
  }
end

local FIELDS = {
  { key = "takes", label = "Takes", default = "1" },
  { key = "seed", label = "Seed", default = "0" },
  { key = "steps", label = "Steps (empty: the model's)", default = "" },
  { key = "guidance", label = "Guidance (empty: the model's)", default = "" },
  { key = "port", label = "Port of the bridge", default = "9000" },
  { key = "program", label = "Program (without LuaSocket)", default = "omniaudio" },
}

-- The values of the dialog by their keys; nil if it was cancelled.
local function asked()
  local labels, defaults = {}, {}
  for index, field in ipairs(FIELDS) do
    local kept = reaper.GetExtState(SECTION, field.key)
    labels[index], defaults[index] = field.label, kept ~= "" and kept or field.default
  end
  local title, captions = TITLE, table.concat(labels, ",") .. ",separator=\n,extrawidth=120"
  local good, text = reaper.GetUserInputs(title, #FIELDS, captions, table.concat(defaults, "\n"))
  if not good then return nil end
  local answers, index = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\n") do
    index = index + 1
    if FIELDS[index] then
      answers[FIELDS[index].key] = line
      reaper.SetExtState(SECTION, FIELDS[index].key, line, true)
    end
  end
  return answers
end

-- A request for a selection with the values of the dialog, or nil and a message.
local function new_request(wanted, answers)
  for _, key in ipairs({ "takes", "seed", "steps", "guidance", "port" }) do
    if answers[key] ~= "" and not tonumber(answers[key]) then return nil, key .. " is no number: " .. answers[key] end
  end
  local options = {
    ('"start": %.9f, "duration": %.9f'):format(wanted.start, wanted.duration),
    '"rate": ' .. math.tointeger(reaper.GetSetProjectInfo(0, "PROJECT_SRATE", 0, false) // 1),
  }
  if reaper.GetSetProjectInfo(0, "PROJECT_SRATE_USE", 0, false) == 0 then options[2] = nil end
  for _, key in ipairs({ "takes", "seed", "steps", "guidance" }) do
    local number = tonumber(answers[key])
    if number then
      options[#options + 1] = ('"%s": %s'):format(key, math.tointeger(number) or ("%.9g"):format(number))
    end
  end
  return {
    id = "reaper-" .. reaper.genGuid(""):gsub("[^%w]", ""),
    video = wanted.video,
    options = "{" .. table.concat(options, ", ") .. "}",
    takes = math.tointeger(tonumber(answers.takes)) or 1,
    port = math.tointeger(tonumber(answers.port)) or 9000,
    program = answers.program ~= "" and answers.program or "omniaudio",
  }
end

------------------------------------------------------------------------------------------------------------------------
-- The result

local function insert_file(track, path, position, length, name)
  local item = reaper.AddMediaItemToTrack(track)
  local take = reaper.AddTakeToMediaItem(item)
  reaper.SetMediaItemTake_Source(take, reaper.PCM_Source_CreateFromFile(path))
  reaper.SetMediaItemInfo_Value(item, "D_POSITION", position)
  reaper.SetMediaItemInfo_Value(item, "D_LENGTH", length)
  reaper.SetMediaItemInfo_Value(item, "B_LOOPSRC", 0) -- the length, in 32 bits, may be some samples above the file's
  reaper.GetSetMediaItemTakeInfo_String(take, "P_NAME", name, true)
end

local function insert_track(index, name, channels)
  reaper.InsertTrackAtIndex(index, true)
  local track = reaper.GetTrack(0, index)
  reaper.GetSetMediaTrackInfo_String(track, "P_NAME", name, true)
  reaper.SetMediaTrackInfo_Value(track, "I_NCHAN", channels)
  return track
end

-- Adds tracks below the video's. For each take: the ambisonic master, which goes to no stereo bus (decode it with IEM or
-- SPARTA), and the binaural preview; only the first preview is not muted.
local function insert(takes, wanted)
  reaper.Undo_BeginBlock()
  reaper.PreventUIRefresh(1)
  local index = wanted.below
  for number, take in ipairs(takes) do
    local suffix = #takes > 1 and " " .. number or ""
    local master = insert_track(index, "Spatial audio" .. suffix .. " (AmbiX)", 4)
    reaper.SetMediaTrackInfo_Value(master, "B_MAINSEND", 0)
    insert_file(master, take.path, wanted.position, take.duration, "AmbiX" .. suffix)
    index = index + 1
    if take.preview ~= "" then
      local preview = insert_track(index, "Spatial audio" .. suffix .. " (binaural preview)", 2)
      reaper.SetMediaTrackInfo_Value(preview, "B_MUTE", number == 1 and 0 or 1)
      insert_file(preview, take.preview, wanted.position, take.duration, "Preview" .. suffix)
      index = index + 1
    end
  end
  reaper.PreventUIRefresh(-1)
  reaper.TrackList_AdjustWindows(false)
  reaper.UpdateArrange()
  reaper.Main_OnCommand(40047, 0) -- build any missing peaks
  reaper.Undo_EndBlock(TITLE, -1)
end

------------------------------------------------------------------------------------------------------------------------
-- The window, and the loop that keeps it alive

local function draw(state)
  local left = state.seconds_left >= 0 and ("%.0f s left"):format(state.seconds_left) or ""
  gfx.set(0.13, 0.13, 0.13)
  gfx.rect(0, 0, gfx.w, gfx.h)
  gfx.set(0.3, 0.3, 0.3)
  gfx.rect(20, 50, gfx.w - 40, 16)
  gfx.set(0.3, 0.7, 0.9)
  gfx.rect(20, 50, (gfx.w - 40) * state.fraction, 16)
  gfx.set(0.9, 0.9, 0.9)
  gfx.x, gfx.y = 20, 22
  gfx.drawstr(("%s  %s"):format(state.stage ~= "" and state.stage or state.state, left))
  gfx.x, gfx.y = 20, 80
  gfx.drawstr("Esc or closing this window cancels.")
  gfx.update()
end

local function say(message) reaper.ShowMessageBox(message, TITLE, 0) end

local function main()
  local wanted, message = selection()
  if not wanted then return say(message) end
  local answers = asked()
  if not answers then return end
  local request
  request, message = new_request(wanted, answers)
  if not request then return say(message) end
  local sockets = reaper.GetResourcePath() .. "/Scripts/Mavriq ReaScript Repository/Various/Mavriq-Lua-Sockets/?."
  package.path = package.path .. ";" .. sockets .. "lua"
  package.cpath = package.cpath .. ";" .. sockets .. (reaper.GetOS():find("^Win") and "dll" or "so")
  local found, socket = pcall(require, "socket")
  local way = found and by_socket(socket, request) or by_program(request)
  local state = new_state(request.takes)
  local cancelled -- when
  gfx.init(TITLE, 420, 120)

  local function finish()
    way.close()
    gfx.quit()
    if cancelled then return end
    if state.state == "done" then
      insert(state.takes, wanted)
    else
      say(state.message)
    end
  end

  local function step()
    way.poll(state)
    local given_up = cancelled and reaper.time_precise() - cancelled > PATIENCE_SECONDS
    if state.state == "done" or state.state == "failed" or given_up then return finish() end
    local key = gfx.getchar()
    if (key == 27 or key == -1) and not cancelled then
      cancelled = reaper.time_precise()
      way.cancel()
    end
    if not cancelled then draw(state) end
    reaper.defer(step)
  end

  step()
end

main()
