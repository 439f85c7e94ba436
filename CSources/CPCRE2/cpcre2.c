// SPDX-License-Identifier: Apache-2.0
//
// What the Swift side takes for granted about PCRE2, proven when this is compiled. No wrappers: Swift calls the
// library.

#include "cpcre2.h"

#include <stdint.h>

// `Pattern` hands bytes over as code units.
_Static_assert(sizeof(PCRE2_UCHAR) == 1, "a code unit is one byte");

// `PCRE2_UNSET` is a cast, which Swift does not import; `PatternMatcher` reads an unset offset as -1.
_Static_assert(PCRE2_UNSET == SIZE_MAX, "an unset offset is all ones");

// An empty subject may come with a null address (10.40), and match data keeps its heap over calls (10.41).
_Static_assert(PCRE2_MAJOR > 10 || (PCRE2_MAJOR == 10 && PCRE2_MINOR >= 42), "PCRE2 10.42, as in Debian 12");
