-- Stands in for REAPER: `lua5.4 stub.lua SCRIPT VIDEO ANSWERS`. One selected item of VIDEO at 10 s, 0.6 s long, trimmed
-- by 0.25 s. The dialog answers with ANSWERS (fields joined by newlines). Every call that changes a project is printed, a
-- line each; so is every message box. Environment: NO_SOCKET hides LuaSocket, ESCAPE presses Esc after a while.

local script, video, answers = arg[1], arg[2], arg[3]
local began = os.time()
local queue = {}
local tracks = 1

local function print_call(name, ...)
  local words = { name }
  for _, value in ipairs({ ... }) do words[#words + 1] = tostring(value) end
  print(table.concat(words, "\t"))
  io.stdout:flush()
end

local function clock()
  local found, socket = pcall(require, "socket")
  if found then return socket.gettime() end
  return os.time()
end

local ITEM = { D_POSITION = 10.0, D_LENGTH = 0.6 }
local TAKE = { D_STARTOFFS = 0.25, D_PLAYRATE = tonumber(os.getenv("PLAYRATE") or "1") }

reaper = {
  GetSelectedMediaItem = function() return os.getenv("NO_ITEM") == nil and "item" or nil end,
  GetActiveTake = function() return "take" end,
  GetMediaItemTake_Source = function() return "source" end,
  GetMediaSourceParent = function() return nil end,
  GetMediaSourceFileName = function() return video end,
  GetMediaItemInfo_Value = function(_, key) return assert(ITEM[key], key) end,
  GetMediaItemTakeInfo_Value = function(_, key) return assert(TAKE[key], key) end,
  GetSet_LoopTimeRange = function() return 0.0, 0.0 end,
  GetMediaItem_Track = function() return "track1" end,
  GetMediaTrackInfo_Value = function(_, key)
    assert(key == "IP_TRACKNUMBER")
    return 1.0
  end,
  GetExtState = function() return "" end,
  SetExtState = function() end,
  GetUserInputs = function(_, count, captions)
    assert(select(2, captions:gsub("separator=\n", "")) == 1 and count >= 1)
    return answers ~= "cancelled", answers
  end,
  GetSetProjectInfo = function(_, key) return key == "PROJECT_SRATE" and 48000.0 or 1.0 end,
  genGuid = function() return ("{%08X-%04X}"):format(os.time(), math.random(0, 0xFFFF)) end,
  GetResourcePath = function() return os.getenv("RESOURCES") end,
  GetOS = function() return "Other" end,
  time_precise = clock,
  ExecProcess = function(line, timeout)
    assert(timeout == -1)
    os.execute(line .. " >/dev/null 2>&1 &")
    return "0\n"
  end,
  defer = function(step) queue[#queue + 1] = step end,
  ShowMessageBox = function(...) print_call("ShowMessageBox", ...) end,
  InsertTrackAtIndex = function(index)
    tracks = tracks + 1
    print_call("InsertTrackAtIndex", index)
  end,
  GetTrack = function(_, index) return "track" .. index + 1 end,
  AddMediaItemToTrack = function(track) return "item of " .. track end,
  AddTakeToMediaItem = function(item) return "take of " .. item end,
  PCM_Source_CreateFromFile = function(path)
    assert(io.open(path, "rb")):close()
    return path
  end,
}
for _, name in ipairs({
  "Undo_BeginBlock", "Undo_EndBlock", "PreventUIRefresh", "TrackList_AdjustWindows", "UpdateArrange",
  "SetMediaTrackInfo_Value", "GetSetMediaTrackInfo_String", "SetMediaItemTake_Source", "SetMediaItemInfo_Value",
  "GetSetMediaItemTakeInfo_String", "Main_OnCommand",
}) do
  reaper[name] = function(...) print_call(name, ...) end
end
setmetatable(reaper, { __index = function(_, name) error("REAPER's " .. name .. " is not stood in for") end })

gfx = { w = 420, h = 120 }
for _, name in ipairs({ "init", "set", "rect", "drawstr", "update", "quit" }) do gfx[name] = function() end end
function gfx.getchar() return os.getenv("ESCAPE") and os.time() - began > 2 and 27 or 0 end

if os.getenv("NO_SOCKET") then package.preload.socket = function() error("there is no LuaSocket") end end

dofile(script)
while #queue > 0 do
  local steps = queue
  queue = {}
  for _, step in ipairs(steps) do step() end
  os.execute("sleep 0.03") -- REAPER runs deferred functions about 30 times a second
end
