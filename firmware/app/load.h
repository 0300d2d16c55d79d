/* load.h - how the input arrives: in hex with `db`, or in frames. */
#ifndef APP_LOAD_H
#define APP_LOAD_H

#include "frame.h"

/* Take a frame that frame_end() judged, and answer it; `view` counts only for FRAME_OK. A refused
 * frame changes nothing. The console adds m-ready. */
void load_frame(frame_status status, const frame_view *view);

#endif
