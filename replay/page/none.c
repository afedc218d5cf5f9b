// SPDX-License-Identifier: MIT
/* A build without the page: node, or what replay/page/web/package-lock.json names, was not there. */
#include "replay/page/page.h"

const struct rf_page_template rf_page_template;
