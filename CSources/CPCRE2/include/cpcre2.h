// SPDX-License-Identifier: Apache-2.0
//
// PCRE2 for Swift, over bytes. The library's own names are macros that Swift does not see; the functions behind them
// carry the width of a code unit (`pcre2_match_8`), and they exist only once that width is chosen here.

#ifndef WEIR_CPCRE2_H
#define WEIR_CPCRE2_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#endif
