<?xml version="1.0" encoding="utf-8"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform"
                xmlns:a="http://www.w3.org/2005/Atom" exclude-result-prefixes="a">
  <xsl:import href="page.xsl"/>
  <xsl:template match="/a:feed">
    <xsl:call-template name="page">
      <xsl:with-param name="title" select="a:title"/>
      <xsl:with-param name="body">
        <p><xsl:value-of select="a:subtitle"/></p>
        <xsl:apply-templates select="a:entry">
          <xsl:sort select="a:updated" order="descending"/>
        </xsl:apply-templates>
        <p><small>This is a feed: put its address into a feed reader. By <xsl:value-of select="a:author/a:name"/>.</small></p>
      </xsl:with-param>
    </xsl:call-template>
  </xsl:template>
  <xsl:template match="a:entry">
    <h2><a href="{a:link[not(@rel) or @rel = 'alternate']/@href}"><xsl:value-of select="a:title"/></a></h2>
    <time datetime="{a:updated}"><xsl:value-of select="substring(a:updated, 1, 10)"/></time>
    <p><xsl:value-of select="a:summary"/></p>
  </xsl:template>
</xsl:stylesheet>
