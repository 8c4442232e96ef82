/** Limits of received reports: of what comes, and of what is inflated from it. */
export const MAX_ARCHIVE_OCTETS = 2 * 1024 * 1024;
export const MAX_REPORT_OCTETS = 4 * 1024 * 1024;
