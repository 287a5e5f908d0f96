-- A trading house in the manner of the Northwind sample: names with blanks, keys of text, a composite key, pictures, checks and defaults
-- of all kinds, and indexes that are unique, partial, descending, folding case and on an expression. The rows are generated.
CREATE TABLE "Categories" (
    "CategoryID" INTEGER PRIMARY KEY AUTOINCREMENT, "CategoryName" NVARCHAR(15) NOT NULL COLLATE NOCASE, "Description" NTEXT, "Picture" IMAGE,
    UNIQUE ("CategoryName")
);
CREATE TABLE "Customers" (
    "CustomerID" NCHAR(5) NOT NULL, "CompanyName" NVARCHAR(40) NOT NULL, "ContactName" NVARCHAR(30), "City" NVARCHAR(15) DEFAULT 'İzmir',
    "Country" NVARCHAR(15), "Phone" NVARCHAR(24), CONSTRAINT "PK_Customers" PRIMARY KEY ("CustomerID"),
    CONSTRAINT "CK_CustomerID" CHECK (length("CustomerID") = 5)
);
CREATE INDEX "CompanyName" ON "Customers" ("CompanyName");
CREATE INDEX "City of Customers" ON "Customers" ("Country" DESC, "City");
CREATE TABLE "CustomerDemographics" ("CustomerTypeID" NCHAR(10) PRIMARY KEY NOT NULL, "CustomerDesc" NTEXT) WITHOUT ROWID;
CREATE TABLE "CustomerCustomerDemo" (
    "CustomerID" NCHAR(5) NOT NULL REFERENCES "Customers" ON DELETE CASCADE ON UPDATE CASCADE,
    "CustomerTypeID" NCHAR(10) NOT NULL REFERENCES "CustomerDemographics" ("CustomerTypeID") ON DELETE RESTRICT,
    PRIMARY KEY ("CustomerTypeID", "CustomerID")
);
CREATE TABLE "Employees" (
    "EmployeeID" INTEGER PRIMARY KEY AUTOINCREMENT, "LastName" NVARCHAR(20) NOT NULL, "FirstName" NVARCHAR(10) NOT NULL,
    "BirthDate" DATE, "HireDate" DATE, "Photo" BLOB, "ReportsTo" INTEGER, "IsActive" BOOLEAN NOT NULL DEFAULT 1,
    "Rate" REAL DEFAULT 1.5, "CreatedAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "CK_Dates" CHECK ("HireDate" IS NULL OR "BirthDate" IS NOT NULL),
    CONSTRAINT "FK_ReportsTo" FOREIGN KEY ("ReportsTo") REFERENCES "Employees" ("EmployeeID") ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
);
CREATE UNIQUE INDEX "FullName" ON "Employees" (("LastName" || ' ' || "FirstName"));
CREATE TABLE "Shippers" ("ShipperID" INTEGER PRIMARY KEY, "CompanyName" NVARCHAR(40) NOT NULL CONSTRAINT "UQ_Shipper" UNIQUE);
CREATE TABLE "Suppliers" ("SupplierID" INTEGER PRIMARY KEY, "CompanyName" NVARCHAR(40) NOT NULL, "HomePage" NTEXT, "Grade" SMALLINT DEFAULT -1);
CREATE TABLE "Products" (
    "ProductID" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "ProductName" NVARCHAR(40) NOT NULL, "SupplierID" INTEGER, "CategoryID" INTEGER,
    "UnitPrice" NUMERIC(12, 4) DEFAULT 0 CHECK ("UnitPrice" >= 0), "UnitsInStock" INTEGER DEFAULT 0, "UnitsOnOrder" INTEGER DEFAULT 0,
    "ReorderLevel" INTEGER DEFAULT (2 * 5), "Discontinued" BOOLEAN NOT NULL DEFAULT 0, "Extra" JSON, "Seen" TIME,
    CONSTRAINT "CK_Stock" CHECK ("UnitsInStock" >= 0 AND "UnitsOnOrder" BETWEEN 0 AND 100000),
    FOREIGN KEY ("CategoryID") REFERENCES "Categories" ("CategoryID") ON DELETE SET NULL ON UPDATE CASCADE,
    FOREIGN KEY ("SupplierID") REFERENCES "Suppliers" ("SupplierID")
);
CREATE UNIQUE INDEX "Product of Supplier" ON "Products" ("SupplierID", "ProductName") WHERE "SupplierID" IS NOT NULL;
CREATE INDEX "Reorder" ON "Products" ("UnitsInStock", "ReorderLevel" DESC) WHERE "UnitsInStock" < 10 AND "UnitsOnOrder" = 0;
CREATE TABLE "Orders" (
    "OrderID" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "CustomerID" NCHAR(5), "EmployeeID" INTEGER, "OrderDate" DATETIME, "ShippedDate" DATETIME,
    "ShipVia" INTEGER, "Freight" NUMERIC DEFAULT 0, "Status" VARCHAR(9) NOT NULL DEFAULT 'DRAFT' CHECK ("Status" IN ('DRAFT', 'CONFIRMED', 'SHIPPED')),
    CONSTRAINT "FK_Customer" FOREIGN KEY ("CustomerID") REFERENCES "Customers" ("CustomerID"),
    FOREIGN KEY ("EmployeeID") REFERENCES "Employees" ("EmployeeID"),
    FOREIGN KEY ("ShipVia") REFERENCES "Shippers" ("ShipperID") ON DELETE SET DEFAULT
);
CREATE INDEX "OrderDate" ON "Orders" ("OrderDate" DESC);
CREATE TABLE "Order Details" (
    "OrderID" INTEGER NOT NULL REFERENCES "Orders" ("OrderID") ON DELETE CASCADE, "ProductID" INTEGER NOT NULL REFERENCES "Products" ("ProductID"),
    "UnitPrice" NUMERIC(12, 4) NOT NULL DEFAULT 0, "Quantity" INTEGER NOT NULL DEFAULT 1, "Discount" REAL NOT NULL DEFAULT 0,
    PRIMARY KEY ("OrderID", "ProductID"),
    CHECK ("Discount" >= 0 AND "Discount" <= 1), CHECK ("Quantity" > 0)
);
CREATE TABLE "Discounted Lines" (
    "OrderID" INTEGER, "ProductID" INTEGER, "Reason" TEXT,
    FOREIGN KEY ("ProductID", "OrderID") REFERENCES "Order Details" ("ProductID", "OrderID") ON DELETE CASCADE
);
CREATE TABLE "Region" ("RegionID" INTEGER NOT NULL PRIMARY KEY, "RegionDescription" NCHAR(50) NOT NULL);
CREATE TABLE "Territories" ("TerritoryID" NVARCHAR(20) PRIMARY KEY, "RegionID" INTEGER NOT NULL, FOREIGN KEY ("RegionID") REFERENCES "Region");
CREATE TABLE "EmployeeTerritories" (
    "EmployeeID" INTEGER NOT NULL REFERENCES "Employees", "TerritoryID" NVARCHAR(20) NOT NULL REFERENCES "Territories", PRIMARY KEY ("EmployeeID", "TerritoryID")
);

CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) SELECT i FROM n;
INSERT INTO "Categories" SELECT i, 'Tür ' || i, NULL, randomblob(16) FROM n WHERE i <= 4;
INSERT INTO "Customers" SELECT printf('ÇŞ%03d', i), 'Firma ' || i, NULL, 'Muğla', 'Türkiye', NULL FROM n WHERE i <= 10;
INSERT INTO "CustomerDemographics" VALUES ('toptan', 'büyük'), ('perakende', NULL);
INSERT INTO "CustomerCustomerDemo" SELECT printf('ÇŞ%03d', i), CASE i % 2 WHEN 0 THEN 'toptan' ELSE 'perakende' END FROM n WHERE i <= 10;
INSERT INTO "Employees" ("EmployeeID", "LastName", "FirstName", "BirthDate", "HireDate", "ReportsTo", "IsActive")
    SELECT i, 'Soyad ' || i, 'Ad ' || i, '1980-01-01', '2010-06-01', nullif(i / 2, 0), i % 2 FROM n WHERE i <= 5;
INSERT INTO "Shippers" VALUES (1, 'Kargo'), (2, 'Nakliye');
INSERT INTO "Suppliers" SELECT i, 'Tedarik ' || i, NULL, i FROM n WHERE i <= 3;
INSERT INTO "Products" ("ProductID", "ProductName", "SupplierID", "CategoryID", "UnitPrice", "UnitsInStock", "Discontinued", "Extra", "Seen")
    SELECT i, 'Ürün ' || i, i % 3 + 1, i % 4 + 1, i * 1.25, i, i % 2, '{"no": ' || i || '}', '08:30:00' FROM n;
INSERT INTO "Orders" SELECT i + 10247, printf('ÇŞ%03d', i % 10 + 1), i % 5 + 1, datetime('2024-07-04', '+' || i || ' days'), NULL, i % 2 + 1, i * 3.5, 'SHIPPED' FROM n;
INSERT INTO "Order Details" SELECT i + 10247, i, i * 1.25, i, 0.05 FROM n;
INSERT INTO "Discounted Lines" SELECT i + 10247, i, 'kampanya' FROM n WHERE i % 3 = 0;
INSERT INTO "Region" VALUES (1, 'Ege'), (2, 'Akdeniz');
INSERT INTO "Territories" VALUES ('35', 1), ('48', 1), ('07', 2);
INSERT INTO "EmployeeTerritories" VALUES (1, '35'), (1, '48'), (2, '07');
DROP TABLE n;
