//! aliaport_import
